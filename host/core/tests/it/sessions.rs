//! Who may do what: roles, brand scope of reads and of writes.

use cashier_core::edit::check_brand;
use cashier_core::ids::ManagerId;
use cashier_core::refusal::RefusalCode;
use cashier_core::session::{ManagerSession, Role};

fn session(brand: Option<&str>) -> ManagerSession {
    ManagerSession::assertion(ManagerId(7), Role::Manager, brand.map(Into::into))
}

#[test]
fn five_roles_may_manage_the_cashier() {
    let may: Vec<Role> = Role::ALL.iter().copied().filter(|role| role.may_manage_cashier()).collect();
    assert_eq!(may, [Role::Manager, Role::Dealer, Role::Admin, Role::CrmManager, Role::CrmAdmin]);
}

#[test]
fn a_session_sees_its_own_brand_and_without_one_every_brand() {
    let (own, all) = (session(Some("ion4")), session(None));
    assert_eq!(["ion4", "other", ""].map(|brand| own.sees(brand)), [true, false, false]);
    assert_eq!(["ion4", "other", ""].map(|brand| all.sees(brand)), [true; 3]);
    assert_eq!(
        (own.brand(), all.brand(), own.manager_id(), own.role()),
        (Some("ion4"), None, ManagerId(7), Role::Manager)
    );
}

#[test]
fn both_the_stored_and_the_target_brand_of_an_edit_must_be_the_sessions_own() {
    use RefusalCode::{NotFound, PermissionDenied};
    let table = [
        (Some("ion4"), "ion4", None),
        (None, "ion4", None),
        (Some("other"), "other", Some(NotFound)),
        (Some("other"), "ion4", Some(NotFound)),
        (Some(""), "", Some(PermissionDenied)),
        (Some(""), "ion4", Some(PermissionDenied)),
        (Some("ion4"), "other", Some(PermissionDenied)),
        (Some("ion4"), "", Some(PermissionDenied)),
        (None, "other", Some(PermissionDenied)),
        (None, "", Some(PermissionDenied)),
    ];
    for (stored, target, refused) in table {
        let code = check_brand(&session(Some("ion4")), stored, target).err().map(|refusal| refusal.code);
        assert_eq!(code, refused, "{stored:?} to {target:?}");
        assert!(check_brand(&session(None), stored, target).is_ok(), "a session of every brand may change all");
    }
}
