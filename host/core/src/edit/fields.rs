//! Shared checks of config and override edits: required fields, fields that keep their value when omitted, limits, and the
//! brand scope of writes.

use crate::money::Limit;
use crate::provider_config::Secret;
use crate::refusal::Refusal;
use crate::session::ManagerSession;

/// Brand scope of writes: both the stored and the target brand must be the session's own (API.md section 4).
/// For the session a row of another brand does not exist; a generic one can be read and not written.
pub fn check_brand(session: &ManagerSession, stored: Option<&str>, target: &str) -> Result<(), Refusal> {
    use crate::refusal::RefusalCode::{NotFound, PermissionDenied};
    if stored.is_some_and(|brand| !brand.is_empty() && !session.sees(brand)) {
        return Err(Refusal::new(NotFound, "there is no such row"));
    }
    if stored.is_some_and(|brand| !session.sees(brand)) || !session.sees(target) {
        return Err(Refusal::new(PermissionDenied, "this session is scoped to another brand"));
    }
    Ok(())
}

pub(super) fn required(field: &str) -> Refusal {
    Refusal::invalid(format!("{field} is required"))
}

pub(super) fn keep_or<T: Clone>(stored: &mut T, edit: &Option<T>) {
    if let Some(new) = edit {
        stored.clone_from(new);
    }
}

pub(super) fn keep_or_secret(stored: &mut Secret, edit: &Option<Secret>) {
    if let Some(new) = edit.as_ref().filter(|new| !new.is_empty()) {
        stored.clone_from(new);
    }
}

/// The two limits of a row, either of which may be unset.
pub(super) fn check_limits(min_amount: Limit, max_amount: Limit) -> Result<(), Refusal> {
    if max_amount.is_set() && max_amount < min_amount {
        return Err(Refusal::invalid("max_amount is below min_amount"));
    }
    Ok(())
}
