//! Which session types may use which manager command: what the operator's settings leave of what each command permits. A
//! setting narrows and never widens.

use std::collections::BTreeMap;

use crate::edit::nearest;
use crate::session::{ManagerSession, Role};

/// What a command permits by itself.
pub type Permits = fn(Role) -> bool;

/// The session types of manager commands, by their published names.
pub const SESSIONS: [(&str, Role); 5] = [
    ("SESSION_MANAGER", Role::Manager),
    ("SESSION_DEALER", Role::Dealer),
    ("SESSION_ADMIN", Role::Admin),
    ("SESSION_CRM_MANAGER", Role::CrmManager),
    ("SESSION_CRM_ADMIN", Role::CrmAdmin),
];

/// The commands that are narrowed, each with the session types that are left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights(BTreeMap<Box<str>, Vec<Role>>);

impl Rights {
    /// Reads what the settings say, for a table of commands with what each permits.
    ///
    /// # Errors
    /// A command or session type that is not known, with the nearest name; a session type that the command does not permit.
    pub fn checked<'a>(
        written: impl IntoIterator<Item = (&'a str, &'a [Box<str>])>,
        commands: &[(&'static str, Permits)],
    ) -> Result<Self, RightsMistake> {
        let mut rights = BTreeMap::new();
        for (command, sessions) in written {
            let mistake = |what: String| RightsMistake { command: command.into(), what };
            let known = commands.iter().find(|(name, _)| *name == command);
            let (_, permits) = known.ok_or_else(|| {
                mistake(format!("is no command{}", hint(command, commands.iter().map(|(name, _)| *name))))
            })?;
            let mut roles = Vec::with_capacity(sessions.len());
            for session in sessions {
                let (_, role) = SESSIONS.iter().find(|(name, _)| **name == **session).ok_or_else(|| {
                    let hint = hint(session, SESSIONS.iter().map(|(name, _)| *name));
                    mistake(format!("names {session:?}, which is no session type{hint}"))
                })?;
                if !permits(*role) {
                    return Err(mistake(format!(
                        "names {session}, which the command never permits: it can only be narrowed"
                    )));
                }
                roles.push(*role);
            }
            rights.insert(command.into(), roles);
        }
        Ok(Self(rights))
    }

    /// Whether a session of this type may use a command that permits by itself what `permits` says.
    pub fn may(&self, command: &str, permits: Permits, role: Role) -> bool {
        permits(role) && self.0.get(command).is_none_or(|left| left.contains(&role))
    }

    /// Whether this session may use it. Whoever owns the host may use what is about approvals also where the settings leave its
    /// session type out: they must not lock out the one who repairs.
    pub fn may_act(&self, session: &ManagerSession, command: &str, permits: Permits, of_approvals: bool) -> bool {
        let role = session.role();
        self.may(command, permits, role) || (of_approvals && session.breaks_glass() && permits(role))
    }

    /// Each narrowed command with the names of the session types that are left.
    pub fn narrowed(&self) -> impl Iterator<Item = (&str, Vec<&'static str>)> {
        let name = |role: &Role| SESSIONS.iter().find(|(_, known)| known == role).map(|(name, _)| *name);
        self.0.iter().map(move |(command, roles)| (&**command, roles.iter().filter_map(name).collect()))
    }
}

/// What is wrong with a line of the settings, after the name of its command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RightsMistake {
    pub command: Box<str>,
    pub what: String,
}

fn hint<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    nearest(name, known).map_or_else(String::new, |near| format!(": the nearest is {near}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMANDS: &[(&str, Permits)] =
        &[("MngRefundCashierTransaction", Role::may_manage_cashier), ("MngUpdateGroup", |role| role == Role::Admin)];

    fn checked(command: &str, sessions: &[&str]) -> Result<Rights, String> {
        let sessions: Vec<Box<str>> = sessions.iter().map(|name| (*name).into()).collect();
        Rights::checked([(command, &*sessions)], COMMANDS)
            .map_err(|mistake| format!("{} {}", mistake.command, mistake.what))
    }

    #[test]
    fn a_setting_narrows_one_command_and_leaves_the_others() {
        let rights = checked("MngRefundCashierTransaction", &["SESSION_ADMIN", "SESSION_CRM_ADMIN"]).unwrap();
        for role in Role::ALL {
            let left = matches!(role, Role::Admin | Role::CrmAdmin);
            assert_eq!(rights.may("MngRefundCashierTransaction", Role::may_manage_cashier, *role), left, "{role:?}");
            assert_eq!(
                rights.may("MngUpdateGroup", |role| role == Role::Admin, *role),
                *role == Role::Admin,
                "{role:?}"
            );
            assert_eq!(rights.may("MngOther", Role::may_manage_cashier, *role), role.may_manage_cashier(), "{role:?}");
        }
        let nobody = checked("MngRefundCashierTransaction", &[]).unwrap();
        assert!(Role::ALL.iter().all(|role| !nobody.may(
            "MngRefundCashierTransaction",
            Role::may_manage_cashier,
            *role
        )));
    }

    #[test]
    fn what_is_not_known_is_refused_with_the_nearest_name_and_nothing_is_widened() {
        for (command, sessions, mistake) in [
            (
                "MngRefundCashierTransactions",
                &["SESSION_ADMIN"][..],
                "MngRefundCashierTransactions is no command: the nearest is MngRefundCashierTransaction",
            ),
            ("Quite-other", &["SESSION_ADMIN"], "Quite-other is no command"),
            (
                "MngUpdateGroup",
                &["SESSION_ADMINS"],
                "MngUpdateGroup names \"SESSION_ADMINS\", which is no session type: the nearest is SESSION_ADMIN",
            ),
            (
                "MngUpdateGroup",
                &["SESSION_CUSTOMER"],
                "MngUpdateGroup names \"SESSION_CUSTOMER\", which is no session type",
            ),
            (
                "MngUpdateGroup",
                &["SESSION_DEALER"],
                "MngUpdateGroup names SESSION_DEALER, which the command never permits: it can only be narrowed",
            ),
        ] {
            assert_eq!(checked(command, sessions).unwrap_err(), mistake);
        }
    }
}
