//! The answer to a webhook's sender, where its provider needs none of its own (API.md section 3).

use cashier_core::notice::ProviderEvent;
use cashier_core::status::TransactionStatus;
use cashier_core::transaction::Transaction;

use crate::json_object::answer;
use crate::wire::answer_values::OrNull;
use crate::wire::event::EventRecord;
use crate::wire::values::{Id, Numbered};

answer! {
    /// A webhook that was received.
    pub struct WebhookAnswer<'a>(events: &'a [ProviderEvent], row: Option<&'a Transaction>, duplicate: bool) {
        event: OrNull<EventRecord<'a>> = OrNull(events.last().map(EventRecord::for_sender)), "the last event";
        transaction: OrNull<WebhookTransaction<'a>> = OrNull(row.map(WebhookTransaction::new)), "null while none is known";
        data: &'a str = "OK", "OK";
        duplicate: bool = duplicate, "true when the event was received before";
        events: Option<Vec<EventRecord<'a>>> = several(events), "every event, where there are several";
    }

    /// What a webhook's sender learns of the transaction.
    pub struct WebhookTransaction<'a>(row: &'a Transaction) {
        id: Id = Id(row.id.0), "Cashier transaction id";
        status: Numbered<TransactionStatus> = Numbered(row.status), "Cashier transaction status";
        provider_payment_id: &'a str = &row.provider_payment_id, "External payment id";
    }
}

fn several(events: &[ProviderEvent]) -> Option<Vec<EventRecord<'_>>> {
    (events.len() > 1).then(|| events.iter().map(EventRecord::for_sender).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::event::tests::failed;
    use crate::wire::transaction::tests::published;

    #[test]
    fn the_last_of_several_events_is_the_event() {
        let shown = |events: &[ProviderEvent], transaction: Option<&Transaction>, duplicate| {
            let text = serde_json::to_string(&WebhookAnswer::new(events, transaction, duplicate)).unwrap();
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            (text, json)
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
