//! A change of a config that waits for a second person: who asked for what, until when, and who decided. The request itself
//! is stored, sealed, because it may hold secrets.

use crate::ids::{ApprovalId, ConfigId, ManagerId};
use crate::numbered::numbered;
use crate::provider_config::{Secret, UnreadableColumn};
use crate::refusal::{Refusal, RefusalCode};
use crate::session::ManagerSession;
use crate::time::UnixTime;

/// An approval without a decision expires after three days: a weekend and a day.
pub const APPROVAL_SECONDS: i64 = 3 * 24 * 60 * 60;

/// Approvals that may be open at once, and as many again are shown after they were decided: persons read them.
pub const APPROVALS_OPEN_MAX: usize = 128;
pub const APPROVALS_MAX: usize = 2 * APPROVALS_OPEN_MAX;

numbered! {
    /// The state of an approval, with its wire name.
    ApprovalState {
        Open = 0 "open",
        Approved = 1 "approved",
        Rejected = 2 "rejected",
        /// There was no decision before its expiry; derived, never stored.
        Expired = 3 "expired",
    }
}

/// A change that waits for, or was decided by, a second person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    pub id: ApprovalId,
    /// The command that asked.
    pub command: Box<str>,
    /// `ConfigId(0)` where a config is to be created.
    pub config_id: ConfigId,
    /// The brand of the config as the change would leave it; empty serves every brand.
    pub brand: Box<str>,
    /// The version of the config that the change was asked for; 0 where it is to be created.
    pub config_version: u64,
    /// The request's `data` as received; empty once it is decided or expired.
    pub request: Secret,
    /// Why `request` is empty although it is stored.
    pub unreadable: Option<UnreadableColumn>,
    /// Names of the fields that would change, in a fixed order, separated by spaces.
    pub fields: Box<str>,
    pub asked_by: ManagerId,
    pub asked_time: UnixTime,
    pub expires_time: UnixTime,
    /// `Open`, `Approved` or `Rejected`; see [`Self::state_at`].
    pub state: ApprovalState,
    pub decided_by: ManagerId,
    pub decided_time: UnixTime,
}

impl Approval {
    /// The state at a time: an open approval past its expiry is expired, and so is one that a clock which was far ahead
    /// stamped: it would be open for as long as the clock was ahead.
    pub fn state_at(&self, now: UnixTime) -> ApprovalState {
        let is_live = now < self.expires_time && self.expires_time <= now.plus(2 * APPROVAL_SECONDS);
        match self.state {
            ApprovalState::Open if !is_live => ApprovalState::Expired,
            state => state,
        }
    }

    /// Why its request does not open, with row and column.
    pub fn broken(&self) -> Option<String> {
        self.unreadable
            .as_ref()
            .map(|unreadable| format!("approval {}: {}: {}", self.id, unreadable.column, unreadable.why))
    }

    /// Whether there is a request, readable or not.
    pub fn holds_request(&self) -> bool {
        !self.request.is_empty() || self.unreadable.is_some()
    }

    /// Without the request, which nobody needs any more and which may hold secrets.
    pub fn without_request(&self) -> Self {
        Self { request: Secret::default(), unreadable: None, ..self.clone() }
    }

    /// Whether there is a request that can be made.
    ///
    /// # Errors
    /// 409 where it does not open: only rejecting is possible.
    pub fn check_readable(&self) -> Result<(), Refusal> {
        match self.broken() {
            None => Ok(()),
            Some(broken) => {
                let message = format!("the request cannot be read ({broken}): reject it and ask again");
                Err(Refusal::new(RefusalCode::ApprovalStale, message))
            }
        }
    }

    /// Whether this session may approve it now.
    ///
    /// # Errors
    /// 409 where it is not open any more, 403 for the one who asked, 409 where the config changed since.
    pub fn check_approver(&self, session: &ManagerSession, config_version: u64, now: UnixTime) -> Result<(), Refusal> {
        self.check_open(now)?;
        if session.manager_id() == self.asked_by {
            let message = "the one who asked for a change cannot approve it: a second person must";
            return Err(Refusal::new(RefusalCode::PermissionDenied, message));
        }
        if config_version != self.config_version {
            let message = "the config changed since the change was asked for: reject it and ask again";
            return Err(Refusal::new(RefusalCode::ApprovalStale, message));
        }
        Ok(())
    }

    /// Whether it still waits for a decision. Also the one who asked may reject it.
    ///
    /// # Errors
    /// 409 where it was decided or is expired.
    pub fn check_open(&self, now: UnixTime) -> Result<(), Refusal> {
        match self.state_at(now) {
            ApprovalState::Open => Ok(()),
            ApprovalState::Expired => Err(Refusal::new(RefusalCode::ApprovalStale, "the approval is expired")),
            ApprovalState::Approved | ApprovalState::Rejected => {
                let message = format!("the approval is {} already, by {}", self.state.name(), self.decided_by);
                Err(Refusal::new(RefusalCode::Duplicate, message))
            }
        }
    }
}
