//! The provider event on the wire (API.md section 2), for managers with what was received, for the sender without.

use std::borrow::Cow;

use cashier_core::notice::ProviderEvent;
use cashier_core::status::{ProcessingStatus, SignatureStatus};

use crate::json_object::answer;
use crate::wire::values::{Id, Numbered, Time};

answer! {
    /// A provider event.
    pub struct EventRecord<'a>(row: &'a ProviderEvent, body: Cow<'a, str>, headers: &'a str, reason: &'a str, to_manager: bool) {
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
    }
}

impl<'a> EventRecord<'a> {
    /// For managers, with the body and the masked headers that were received.
    pub fn for_manager(row: &'a ProviderEvent, body: &'a [u8], headers_json: &'a str) -> Self {
        Self::new(row, String::from_utf8_lossy(body), headers_json, &row.failure_reason, true)
    }

    /// For the webhook's sender: it knows the body, and of a failure it gets the code alone, because the values behind
    /// it are for managers.
    pub fn for_sender(row: &'a ProviderEvent) -> Self {
        let code = row.failure_reason.split(':').next().unwrap_or_default();
        Self::new(row, Cow::default(), "", code, false)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use cashier_core::ids::{ConfigId, EventId, NoticeId, TransactionId};
    use cashier_core::status::{ProcessingStatus, SignatureStatus};
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
            update: None,
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
        let expected = r#"{"id":9,"provider":"stripe","event_id":"evt_1","transaction_id":15,"provider_payment_id":"pi_123","payload_json":"{\"id\":\"evt_1\"}�","headers_json":"[]","signature_status":1,"processing_status":2,"failure_reason":"PROVIDER_CONFIG_MISMATCH: received under config 2","created_time":1779270000,"processed_time":1779270001,"provider_config_id":1,"brand":"ion4"}
{"id":9,"provider":"stripe","event_id":"evt_1","transaction_id":15,"provider_payment_id":"pi_123","payload_json":"","headers_json":"","signature_status":1,"processing_status":2,"failure_reason":"PROVIDER_CONFIG_MISMATCH","created_time":1779270000,"processed_time":1779270001}"#;
        assert_eq!(written.join("\n"), expected);
    }
}
