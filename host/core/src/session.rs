//! The caller of a request: the published session kinds, and the proofs that the token check makes.

use crate::ids::{ConfigId, CustomerId, ManagerId};
use crate::numbered::numbered;

numbered! {
    /// The published session numbers (API.md section 1).
    Role {
        User = 0,
        Manager = 1,
        Dealer = 2,
        Admin = 3,
        System = 4,
        Fix = 5,
        Customer = 9,
        CrmManager = 10,
        CrmAdmin = 11,
    }
}

impl Role {
    /// The roles every Cashier command of the manager listener accepts (API.md section 4).
    pub const fn may_manage_cashier(self) -> bool {
        match self {
            Self::Manager | Self::Dealer | Self::Admin | Self::CrmManager | Self::CrmAdmin => true,
            Self::User | Self::System | Self::Fix | Self::Customer => false,
        }
    }
}

/// Proof that a request carries a valid customer token. Made by the token check alone.
#[derive(Debug, Clone)]
pub struct CustomerSession {
    customer_id: CustomerId,
    brand: Option<Box<str>>,
}

impl CustomerSession {
    /// The caller asserts that it verified the token these values came from.
    pub fn assertion(customer_id: CustomerId, brand: Option<Box<str>>) -> Self {
        Self { customer_id, brand }
    }

    pub fn customer_id(&self) -> CustomerId {
        self.customer_id
    }

    pub fn brand(&self) -> Option<&str> {
        self.brand.as_deref()
    }
}

/// Proof that a request carries a live manager token, with the brand it is scoped to, if any.
#[derive(Debug, Clone)]
pub struct ManagerSession {
    manager_id: ManagerId,
    role: Role,
    brand: Option<Box<str>>,
    breaks_glass: bool,
}

impl ManagerSession {
    /// The caller asserts that it verified the token these values came from.
    pub fn assertion(manager_id: ManagerId, role: Role, brand: Option<Box<str>>) -> Self {
        Self { manager_id, role, brand, breaks_glass: false }
    }

    /// The same of whoever owns the host, who may approve alone. The caller asserts that the token says so, under a key of
    /// this host.
    pub fn breaking_glass(self) -> Self {
        Self { breaks_glass: true, ..self }
    }

    /// Whether whoever owns the host acts alone.
    pub fn breaks_glass(&self) -> bool {
        self.breaks_glass
    }

    pub fn manager_id(&self) -> ManagerId {
        self.manager_id
    }

    pub fn role(&self) -> Role {
        self.role
    }

    /// The one brand this session may read and change; `None` means all.
    pub fn brand(&self) -> Option<&str> {
        self.brand.as_deref()
    }

    /// Whether rows of `brand` exist for this session (API.md section 4, brand scope).
    pub fn sees(&self, brand: &str) -> bool {
        self.brand.as_deref().is_none_or(|own| own == brand)
    }
}

/// Who caused a commit; stored with it for audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    Customer(CustomerId),
    Manager(ManagerId),
    /// A verified webhook of this config, or an answer of its provider.
    Provider(ConfigId),
    /// The cashier itself, such as the janitor.
    System,
}
