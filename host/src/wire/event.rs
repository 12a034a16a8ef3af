//! The provider event on the wire (API.md section 2), for managers with what was received, for the sender without.

use cashier_core::notice::ProviderEvent;

use crate::wire::write;

/// What was received with an event. Headers are masked before they are stored.
#[derive(Debug, Clone, Copy, Default)]
pub struct Received<'a> {
    /// The body; bytes that are no UTF-8 show as replacement characters.
    pub body: &'a [u8],
    pub headers_json: &'a str,
}

/// The whole record.
pub fn write(out: &mut Vec<u8>, event: &ProviderEvent, received: Received<'_>) {
    let reason = &event.failure_reason;
    write_with(out, event, received, reason);
}

/// The record as the webhook's sender sees it: the body is known to them, and of a failure they are told its code
/// alone, because the values behind it are for managers.
pub fn write_for_sender(out: &mut Vec<u8>, event: &ProviderEvent) {
    let code = event.failure_reason.split(':').next().unwrap_or_default();
    write_with(out, event, Received::default(), code);
}

fn write_with(out: &mut Vec<u8>, event: &ProviderEvent, received: Received<'_>, failure_reason: &str) {
    write::object(out, |fields| {
        fields
            .number("id", event.id.0)
            .text("provider", &event.provider)
            .text("event_id", &event.event_id)
            .number("transaction_id", event.transaction_id.0)
            .text("provider_payment_id", &event.provider_payment_id)
            .text("payload_json", &String::from_utf8_lossy(received.body))
            .text("headers_json", received.headers_json)
            .number("signature_status", event.signature_status.number().into())
            .number("processing_status", event.processing_status.number().into())
            .text("failure_reason", failure_reason)
            .time("created_time", event.created_time)
            .time("processed_time", event.processed_time);
    });
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
            failure_reason: "PROVIDER_CONFIG_MISMATCH: heard under config 2".into(),
            update: None,
            module_hash: "".into(),
            created_time: UnixTime(1_779_270_000),
            processed_time: UnixTime(1_779_270_001),
        }
    }

    #[test]
    fn managers_see_everything_the_sender_the_code_alone() {
        let mut out = Vec::new();
        write(&mut out, &failed(), Received { body: b"{\"id\":\"evt_1\"}\xff", headers_json: "[]" });
        out.push(b'\n');
        write_for_sender(&mut out, &failed());
        let expected = r#"{"id":9,"provider":"stripe","event_id":"evt_1","transaction_id":15,"provider_payment_id":"pi_123","payload_json":"{\"id\":\"evt_1\"}�","headers_json":"[]","signature_status":1,"processing_status":2,"failure_reason":"PROVIDER_CONFIG_MISMATCH: heard under config 2","created_time":1779270000,"processed_time":1779270001}
{"id":9,"provider":"stripe","event_id":"evt_1","transaction_id":15,"provider_payment_id":"pi_123","payload_json":"","headers_json":"","signature_status":1,"processing_status":2,"failure_reason":"PROVIDER_CONFIG_MISMATCH","created_time":1779270000,"processed_time":1779270001}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
