//! The answer to a webhook's sender, where its provider needs none of its own (API.md section 3).

use cashier_core::notice::ProviderEvent;
use cashier_core::transaction::Transaction;

use crate::wire::{event, write};

/// `{"event","transaction","data":"OK","duplicate"}`; with several updates the event is the last one and `events` lists
/// them all. The transaction is `null` while none is known.
pub fn write(out: &mut Vec<u8>, events: &[ProviderEvent], transaction: Option<&Transaction>, duplicate: bool) {
    write::object(out, |fields| {
        fields.value("event", |out| match events.last() {
            Some(last) => event::write_for_sender(out, last),
            None => out.extend_from_slice(b"null"),
        });
        match transaction {
            Some(known) => fields.object("transaction", |fields| {
                fields
                    .number("id", known.id.0)
                    .number("status", known.status.number().into())
                    .text("provider_payment_id", &known.provider_payment_id);
            }),
            None => fields.raw("transaction", "null"),
        };
        fields.text("data", "OK").raw("duplicate", if duplicate { "true" } else { "false" });
        if events.len() > 1 {
            fields.array("events", events, event::write_for_sender);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::event::tests::failed;
    use crate::wire::transaction::tests::published;

    #[test]
    fn one_update_or_several_the_last_one_leads() {
        let shown = |events: &[ProviderEvent], transaction: Option<&Transaction>, duplicate| {
            let mut out = Vec::new();
            write(&mut out, events, transaction, duplicate);
            let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
            (String::from_utf8(out).unwrap(), json)
        };
        let (text, json) = shown(&[failed()], Some(&published()), true);
        let tail =
            r#","transaction":{"id":15,"status":1,"provider_payment_id":"pi_123"},"data":"OK","duplicate":true}"#;
        assert!(text.starts_with(r#"{"event":{"id":9,"#) && text.ends_with(tail), "{text}");
        assert!(json.get("events").is_none());
        let mut second = failed();
        second.id = cashier_core::ids::EventId(10);
        let (_, json) = shown(&[failed(), second], None, false);
        assert_eq!((&json["event"]["id"], &json["transaction"]), (&10.into(), &serde_json::Value::Null));
        assert_eq!((&json["events"][0]["id"], &json["events"][1]["id"]), (&9.into(), &10.into()));
    }
}
