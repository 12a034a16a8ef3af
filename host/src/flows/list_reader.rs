//! Who reads a list, and how many at once. It knows no list.

use cashier_core::ids::{CustomerId, ManagerId};
use cashier_core::session::{ManagerSession, Role};

/// Lists of one customer that are answered at one time: an app shows one, and asks for the next while it scrolls.
pub const CUSTOMER_LISTS_MAX: usize = 2;

/// Lists of one manager that are answered at one time.
pub const MANAGER_LISTS_MAX: usize = 4;

/// Exports of one manager at one time, beside the lists.
pub const EXPORTS_MAX: usize = 2;

/// Who reads a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListReader {
    Customer(CustomerId),
    Manager(ManagerReader),
    /// A manager whose list has so many rows that it is an export.
    Export(ManagerReader),
}

/// A manager as the token names him: managers of two brands, or of two roles, may have one number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ManagerReader {
    role: Role,
    id: ManagerId,
    brand: Option<Box<str>>,
}

impl ManagerReader {
    pub fn of(session: &ManagerSession) -> Self {
        Self { role: session.role(), id: session.manager_id(), brand: session.brand().map(Into::into) }
    }

    /// The brand whose rows alone it sees.
    pub(super) fn brand(&self) -> Option<&str> {
        self.brand.as_deref()
    }
}

impl ListReader {
    pub(super) fn at_once(&self) -> usize {
        match self {
            Self::Customer(_) => CUSTOMER_LISTS_MAX,
            Self::Manager(_) => MANAGER_LISTS_MAX,
            Self::Export(_) => EXPORTS_MAX,
        }
    }

    pub(super) fn manager(&self) -> Option<&ManagerReader> {
        match self {
            Self::Customer(_) => None,
            Self::Manager(manager) | Self::Export(manager) => Some(manager),
        }
    }
}
