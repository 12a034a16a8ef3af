//! The provider event on the wire (API.md section 2), for managers with what was received, for the sender without.

use std::borrow::Cow;

use cashier_core::notice::{ProviderEvent, Update};
use cashier_core::status::{ProcessingStatus, SignatureStatus};

use crate::json_object::answer;
use crate::wire::values::{Id, Numbered, Time};

answer! {
    /// A provider event.
    pub struct EventRecord<'a>(row: &'a ProviderEvent, update: Option<&'a Update>, body: Cow<'a, str>, headers: &'a str, reason: &'a str, to_manager: bool) {
        id: Id = Id(row.id.0), "Provider event id";
        provider: &'a str = &row.provider, "Provider code";
        event_id: &'a str = &row.event_id, "The provider's id of the event";
        transaction_id: Id = Id(row.transaction_id.0), "Transaction that the event is about; 0 while none is known";
        provider_payment_id: &'a str = &row.provider_payment_id, "External payment id";
        payload_json: Cow<'a, str> = body, "The body as received; bytes that are not UTF-8 are replaced";
        headers_json: &'a str = headers, "The headers as received, secrets masked";
        signature_status: Numbered<SignatureStatus> = Numbered(row.signature_status), "0 unknown, 1 valid, 2 invalid";
        processing_status: Numbered<ProcessingStatus> = Numbered(row.processing_status),
            "0 pending, 1 processed, 2 failed, 3 ignored";
        failure_reason: &'a str = reason, "Failure reason";
        created_time: Time = Time(row.created_time), "Creation timestamp";
        processed_time: Time = Time(row.processed_time), "Processing timestamp";
        provider_config_id: Option<Id> = to_manager.then_some(Id(row.config_id.0)), "Config that received it, 0 for none; for managers alone";
        brand: Option<&'a str> = to_manager.then_some(&*row.brand), "Brand whose managers see it, empty for none; for managers alone";
        provider_status: Option<&'a str> = update.map(|update| update.status.name()),
            "Status that its module read in it; left out where it read nothing; for managers alone, as what follows";
        raw_status: Option<&'a str> = update.map(|update| &*update.raw_status), "The provider's own status";
        stated_amount: Option<Cow<'a, str>> =
            update.and_then(|update| update.amount.as_ref()).map(|amount| Cow::Owned(amount.to_string())),
            "Amount that it states, with its currency; left out where it states none";
    }
}

impl<'a> EventRecord<'a> {
    /// For managers, with the body and the masked headers that were received.
    pub fn for_manager(row: &'a ProviderEvent, body: &'a [u8], headers_json: &'a str) -> Self {
        let (update, body) = (row.update.as_ref(), String::from_utf8_lossy(body));
        Self::new(row, update, body, headers_json, &row.failure_reason, true)
    }

    /// For the webhook's sender: it knows the body, and of a failure it gets the code alone, because the values behind
    /// it are for managers.
    pub fn for_sender(row: &'a ProviderEvent) -> Self {
        let code = row.failure_reason.split(':').next().unwrap_or_default();
        Self::new(row, None, Cow::default(), "", code, false)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use cashier_core::ids::{ConfigId, EventId, NoticeId, TransactionId};
    use cashier_core::money::{Currency, Money};
    use cashier_core::notice::StatedAmount;
    use cashier_core::status::{ProcessingStatus, ProviderStatus, SignatureStatus};
    use cashier_core::time::UnixTime;

    use super::*;

    pub(crate) fn failed() -> ProviderEvent {
        ProviderEvent {
            id: EventId(9),
            notice_id: NoticeId(8),
            config_id: ConfigId(1),
            provider: "stripe".into(),
            brand: "ion4".into(),
            event_id: "evt_1".into(),
            transaction_id: TransactionId(15),
            provider_payment_id: "pi_123".into(),
            signature_status: SignatureStatus::Valid,
            processing_status: ProcessingStatus::Failed,
            failure_reason: "PROVIDER_CONFIG_MISMATCH: received under config 2".into(),
            update: Some(Update {
                event_id: "evt_1".into(),
                reference: None,
                refs: Vec::new(),
                status: ProviderStatus::Confirmed,
                payment_id: "pi_123".into(),
                amount: Some(StatedAmount::Exact(Money::new(25_000, Currency::from_code("USD").unwrap()))),
                refund: None,
                dispute: None,
                raw_status: "succeeded".into(),
                reason: "".into(),
                sandbox: None,
                mode_conflict: false,
                advance: false,
            }),
            module_hash: "".into(),
            also_verified_by: Box::default(),
            created_time: UnixTime(1_779_270_000),
            processed_time: UnixTime(1_779_270_001),
        }
    }

    #[test]
    fn a_manager_gets_every_value_and_the_sender_the_code_alone() {
        let row = failed();
        let to_manager = EventRecord::for_manager(&row, b"{\"id\":\"evt_1\"}\xff", "[]");
        let written = [to_manager, EventRecord::for_sender(&row)].map(|record| serde_json::to_string(&record).unwrap());
        let without = ProviderEvent { update: None, ..failed() };
        let nothing_read = serde_json::to_string(&EventRecord::for_manager(&without, b"", "[]")).unwrap();
        assert!(nothing_read.ends_with(r#""provider_config_id":1,"brand":"ion4"}"#), "{nothing_read}");
        let expected = r#"{"id":9,"provider":"stripe","event_id":"evt_1","transaction_id":15,"provider_payment_id":"pi_123","payload_json":"{\"id\":\"evt_1\"}�","headers_json":"[]","signature_status":1,"processing_status":2,"failure_reason":"PROVIDER_CONFIG_MISMATCH: received under config 2","created_time":1779270000,"processed_time":1779270001,"provider_config_id":1,"brand":"ion4","provider_status":"confirmed","raw_status":"succeeded","stated_amount":"250.0 USD"}
{"id":9,"provider":"stripe","event_id":"evt_1","transaction_id":15,"provider_payment_id":"pi_123","payload_json":"","headers_json":"","signature_status":1,"processing_status":2,"failure_reason":"PROVIDER_CONFIG_MISMATCH","created_time":1779270000,"processed_time":1779270001}"#;
        assert_eq!(written.join("\n"), expected);
    }
}
