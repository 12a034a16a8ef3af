//! Edits of a customer override: defaults at creation, each field by itself, and what is refused.

use cashier_core::customer_override::{CustomerOverride, OverrideMode};
use cashier_core::edit::OverrideEdit;
use cashier_core::ids::{ConfigId, CustomerId, OverrideId};

use crate::samples::{NOW, allow, limit};

#[test]
fn an_override_is_created_with_its_defaults_and_edited_field_by_field() {
    let create = |edit: &OverrideEdit| edit.create(OverrideId(3), NOW).map_err(|refusal| refusal.message.to_string());
    let needed = OverrideEdit {
        customer_id: Some(CustomerId(5)),
        brand: Some("ion4".into()),
        provider: Some("stripe".into()),
        ..OverrideEdit::default()
    };
    assert_eq!(create(&needed), Ok(CustomerOverride { reason: "".into(), ..allow(3) }));
    let missing = [
        (OverrideEdit { customer_id: None, ..needed.clone() }, "customer_id is required"),
        (OverrideEdit { customer_id: Some(CustomerId(0)), ..needed.clone() }, "customer_id is required"),
        (OverrideEdit { brand: Some("".into()), ..needed.clone() }, "brand is required"),
        (OverrideEdit { provider: None, ..needed.clone() }, "provider is required"),
    ];
    for (edit, expected) in missing {
        assert_eq!(create(&edit).unwrap_err(), expected);
    }
    let later = NOW.plus(60);
    let apply = |edit: OverrideEdit| edit.apply(&allow(3), later).map_err(|refusal| refusal.message.to_string());
    let whole = OverrideEdit {
        id: Some(OverrideId(3)),
        customer_id: Some(CustomerId(5)),
        brand: Some("other".into()),
        provider: Some("paypal".into()),
        provider_config_id: Some(ConfigId(2)),
        method: Some("card".into()),
        mode: Some(OverrideMode::Deny),
        min_amount: Some(limit("5")),
        max_amount: Some(limit("5")),
        enabled: Some(false),
        reason: Some("FRAUD".into()),
        comment: Some("by phone".into()),
        expires_time: Some(later),
    };
    let expected = CustomerOverride {
        brand: "other".into(),
        provider: "paypal".into(),
        provider_config_id: ConfigId(2),
        method: "card".into(),
        mode: OverrideMode::Deny,
        min_amount: limit("5"),
        max_amount: limit("5"),
        enabled: false,
        reason: "FRAUD".into(),
        comment: "by phone".into(),
        expires_time: later,
        updated_time: later,
        ..allow(3)
    };
    assert_eq!(apply(whole), Ok(expected));
    assert_eq!(apply(OverrideEdit::default()), Ok(CustomerOverride { updated_time: later, ..allow(3) }));
    let edit = OverrideEdit::default;
    let refused = [
        (OverrideEdit { customer_id: Some(CustomerId(6)), ..edit() }, "customer_id of an override cannot change"),
        (OverrideEdit { brand: Some("".into()), ..edit() }, "brand is required"),
        (OverrideEdit { provider: Some("".into()), ..edit() }, "provider is required"),
        (
            OverrideEdit { min_amount: Some(limit("5")), max_amount: Some(limit("4")), ..edit() },
            "max_amount is below min_amount",
        ),
    ];
    for (edit, expected) in refused {
        assert_eq!(apply(edit).unwrap_err(), expected);
    }
    let targets = [None, Some(OverrideId(0)), Some(OverrideId(4))].map(|id| OverrideEdit { id, ..edit() }.target());
    assert_eq!(targets, [None, None, Some(OverrideId(4))]);
    let unset = OverrideEdit { min_amount: Some(limit("5")), ..edit() };
    assert!(apply(unset).is_ok(), "a limit that is not set bounds nothing");
}

#[test]
fn i7_an_override_for_a_config_that_does_not_exist_is_refused_unless_it_was_stored_so() {
    let stored = CustomerOverride { provider_config_id: ConfigId(9), ..allow(3) };
    let named = |id| OverrideEdit { provider_config_id: id, ..OverrideEdit::default() };
    let missing = |id| Err(format!("INVALID_DATA: provider_config_id {id}: there is no such config"));
    for (id, stored, expected) in [
        (Some(ConfigId(1)), None, Ok(())),
        (Some(ConfigId(0)), None, Ok(())),
        (None, None, Ok(())),
        (Some(ConfigId(999)), None, missing(999)),
        (Some(ConfigId(999)), Some(&stored), missing(999)),
        // It was deleted since; the row can still be sent back, and so be disabled.
        (Some(ConfigId(9)), Some(&stored), Ok(())),
        (Some(ConfigId(9)), None, missing(9)),
    ] {
        let judged = named(id).check_config(stored, |id| id == ConfigId(1)).map_err(|refusal| refusal.to_string());
        assert_eq!(judged, expected, "{id:?}");
    }
}
