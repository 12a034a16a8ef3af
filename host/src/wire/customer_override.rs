//! The customer override on the wire, as its published page shows it: rows and edits in which what is omitted keeps its
//! value. Defaults (mode 0, enabled 1) are the core's, at creation alone.

use cashier_core::customer_override::{CustomerOverride, OverrideMode};
use cashier_core::edit::OverrideEdit;
use cashier_core::ids::{ConfigId, CustomerId, OverrideId};
use cashier_core::lengths::CODE_LENGTH_MAX;
use cashier_core::refusal::Refusal;

use crate::json_object::{answer, request};
use crate::wire::read::read as read_request;
use crate::wire::values::{Code, Comment, Flag, Id, LimitAmount, Numbered, ReadOnly, RowId, Time};

answer! {
    /// A customer's override. Every field is a column of the table form.
    pub struct OverrideRecord<'a>(row: &'a CustomerOverride) {
        id: Id = Id(row.id.0), "override id", column;
        customer_id: Id = Id(row.customer_id.0), "Target customer id", column;
        brand: &'a str = &row.brand, "Brand scope", column;
        provider_config_id: Id = Id(row.provider_config_id.0), "Exact provider config id, 0 for none", column;
        provider: &'a str = &row.provider, "Provider code", column;
        method: &'a str = &row.method, "Provider method marker; empty for any", column;
        mode: Numbered<OverrideMode> = Numbered(row.mode), "0 allow, 1 deny", column;
        min_amount: LimitAmount = LimitAmount(row.min_amount), "Minimum amount, 0 keeps the config's", column;
        max_amount: LimitAmount = LimitAmount(row.max_amount), "Maximum amount, 0 keeps the config's", column;
        enabled: Flag = Flag(row.enabled), "1 enabled, 0 disabled", column;
        reason: &'a str = &row.reason, "Internal reason code", column;
        comment: &'a str = &row.comment, "Manager comment", column;
        expires_time: Time = Time(row.expires_time), "Expiration timestamp, 0 means no expiration", column;
        created_time: Time = Time(row.created_time), "Creation timestamp", column;
        updated_time: Time = Time(row.updated_time), "Last update timestamp", column;
    }

    /// One override.
    pub struct OverrideAnswer<'a>(row: &'a CustomerOverride) {
        saved as "override": OverrideRecord<'a> = OverrideRecord::new(row), "the override as it is now";
    }

    /// An override that was saved and names what is not there.
    pub struct WarnedOverrideAnswer<'a>(row: &'a CustomerOverride, notes: &'a [String]) {
        saved as "override": OverrideRecord<'a> = OverrideRecord::new(row), "the override as it is now";
        warnings: Vec<&'a str> = notes.iter().map(String::as_str).collect(), "what it names that is not there";
    }
}

request! {
    /// An override as a manager writes it. What is omitted keeps its value.
    pub struct OverrideBody {
        id: Option<RowId>, "Existing override id. If omitted or 0, a new override is created";
        customer_id: Option<Id>, "Target customer id; needed to create";
        brand: Option<Code<CODE_LENGTH_MAX>>, "Brand scope; needed to create";
        provider_config_id: Option<Id>, "Exact provider config id. If omitted, resolved by provider, method and brand";
        provider: Option<Code<CODE_LENGTH_MAX>>, "Provider code; needed to create";
        method: Option<Code<CODE_LENGTH_MAX>>, "Provider method marker; empty for any";
        mode: Option<Numbered<OverrideMode>>, "0 allow, 1 deny. Default is allow";
        min_amount: Option<LimitAmount>, "Override minimum amount, 0 keeps provider config value";
        max_amount: Option<LimitAmount>, "Override maximum amount, 0 keeps provider config value";
        enabled: Option<Flag>, "1 enabled, 0 disabled. Default is enabled";
        reason: Option<Code<CODE_LENGTH_MAX>>, "Internal reason code";
        comment: Option<Comment>, "Manager comment";
        expires_time: Option<Time>, "Expiration timestamp, 0 means no expiration";
        created_time: Option<ReadOnly>, "passes unread";
        updated_time: Option<ReadOnly>, "passes unread";
    }
}

/// Reads an edit. A whole row sent back is fine: its times pass unread.
pub fn read(json: &[u8]) -> Result<OverrideEdit, Refusal> {
    let body: OverrideBody = read_request(json, "data")?;
    Ok(OverrideEdit {
        id: body.id.map(|id| OverrideId(id.0)),
        customer_id: body.customer_id.map(|id| CustomerId(id.0)),
        brand: body.brand.map(Into::into),
        provider_config_id: body.provider_config_id.map(|id| ConfigId(id.0)),
        provider: body.provider.map(Into::into),
        method: body.method.map(Into::into),
        mode: body.mode.map(|mode| mode.0),
        min_amount: body.min_amount.map(Into::into),
        max_amount: body.max_amount.map(Into::into),
        enabled: body.enabled.map(Into::into),
        reason: body.reason.map(Into::into),
        comment: body.comment.map(Into::into),
        expires_time: body.expires_time.map(Into::into),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use cashier_core::time::UnixTime;

    use super::*;

    pub(crate) const PUBLISHED_REQUEST: &str = r#"{"customer_id":5,"brand":"ion4","provider_config_id":1,"provider":"stripe","method":"card","mode":0,"min_amount":25.0,"max_amount":10000.0,"enabled":1,"reason":"VIP_ALLOW","comment":"Manual allow from customer card","expires_time":0}"#;

    #[test]
    fn the_published_request_is_read_and_the_published_answer_written() {
        let edit = read(PUBLISHED_REQUEST.as_bytes()).unwrap();
        assert_eq!(edit.id, None);
        let row = CustomerOverride {
            id: OverrideId(3),
            customer_id: edit.customer_id.unwrap(),
            brand: edit.brand.unwrap(),
            provider_config_id: edit.provider_config_id.unwrap(),
            provider: edit.provider.unwrap(),
            method: edit.method.unwrap(),
            mode: edit.mode.unwrap(),
            min_amount: edit.min_amount.unwrap(),
            max_amount: edit.max_amount.unwrap(),
            enabled: edit.enabled.unwrap(),
            reason: edit.reason.unwrap(),
            comment: edit.comment.unwrap(),
            expires_time: edit.expires_time.unwrap(),
            created_time: UnixTime(1_779_270_000),
            updated_time: UnixTime(1_779_270_000),
        };
        let expected = r#"{"id":3,"customer_id":5,"brand":"ion4","provider_config_id":1,"provider":"stripe","method":"card","mode":0,"min_amount":25.0,"max_amount":10000.0,"enabled":1,"reason":"VIP_ALLOW","comment":"Manual allow from customer card","expires_time":0,"created_time":1779270000,"updated_time":1779270000}"#;
        assert_eq!(serde_json::to_string(&OverrideRecord::new(&row)).unwrap(), expected);
        assert_eq!(read(expected.as_bytes()).unwrap().id, Some(OverrideId(3)));
    }

    #[test]
    fn an_omitted_field_is_not_in_the_edit() {
        assert_eq!(format!("{:?}", read(b"{}").unwrap()), format!("{:?}", OverrideEdit::default()));
        let table = [
            (r#"{"mode":2}"#, "mode must be a whole number from 0 to 1"),
            (r#"{"customer_id":"5"}"#, "customer_id must be a whole number that is an id"),
            (r#"{"expires_time":-1}"#, "expires_time must be a whole number from 0 to 253402300799"),
            (r#"{"min_amount":1e2}"#, "min_amount is not a plain decimal number"),
        ];
        for (json, expected) in table {
            assert_eq!(read(json.as_bytes()).unwrap_err().message, expected, "{json}");
        }
    }
}
