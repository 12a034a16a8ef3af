//! The customer override on the wire, as its published page shows it: rows and edits in which what is omitted keeps
//! its value. Defaults (mode 0, enabled 1) are the core's, at creation alone.

use cashier_core::customer_override::{CustomerOverride, OverrideMode};
use cashier_core::edit::OverrideEdit;
use cashier_core::ids::{ConfigId, CustomerId, OverrideId};
use cashier_core::lengths::COMMENT_LENGTH_MAX;
use cashier_core::refusal::Refusal;

use crate::wire::read::Fields;
use crate::wire::write;

/// A field of the record: its name and how its value is written.
pub type Column = (&'static str, fn(&mut Vec<u8>, &CustomerOverride));

/// All fields in the published order; also the columns of the table form.
pub const FIELDS: [Column; 15] = [
    ("id", |out, row| write::number(out, row.id.0)),
    ("customer_id", |out, row| write::number(out, row.customer_id.0)),
    ("brand", |out, row| write::text(out, &row.brand)),
    ("provider_config_id", |out, row| write::number(out, row.provider_config_id.0)),
    ("provider", |out, row| write::text(out, &row.provider)),
    ("method", |out, row| write::text(out, &row.method)),
    ("mode", |out, row| write::number(out, row.mode.number().into())),
    ("min_amount", |out, row| out.extend_from_slice(row.min_amount.to_wire().as_bytes())),
    ("max_amount", |out, row| out.extend_from_slice(row.max_amount.to_wire().as_bytes())),
    ("enabled", |out, row| write::number(out, row.enabled.into())),
    ("reason", |out, row| write::text(out, &row.reason)),
    ("comment", |out, row| write::text(out, &row.comment)),
    ("expires_time", |out, row| write::signed(out, row.expires_time.0)),
    ("created_time", |out, row| write::signed(out, row.created_time.0)),
    ("updated_time", |out, row| write::signed(out, row.updated_time.0)),
];

/// The whole record.
pub fn write(out: &mut Vec<u8>, row: &CustomerOverride) {
    write::object(out, |fields| {
        for (name, write) in FIELDS {
            fields.value(name, |out| write(out, row));
        }
    });
}

/// One row of the table form, in the order of [`FIELDS`].
pub fn write_row(out: &mut Vec<u8>, row: &CustomerOverride) {
    write::array(out, FIELDS, |out, (_, write)| write(out, row));
}

/// Reads an edit. A whole row sent back is fine: its times are read-only and pass unread.
pub fn read(json: &[u8]) -> Result<OverrideEdit, Refusal> {
    let mut fields = Fields::parse(json, "data")?;
    fields.ignore(&["created_time", "updated_time"]);
    let edit = OverrideEdit {
        id: fields.id("id")?.filter(|id| *id > 0).map(OverrideId),
        customer_id: fields.id("customer_id")?.map(CustomerId),
        brand: fields.code("brand")?,
        provider_config_id: fields.id("provider_config_id")?.map(ConfigId),
        provider: fields.code("provider")?,
        method: fields.code("method")?,
        mode: fields.whole("mode", 0..=1)?.and_then(OverrideMode::from_number),
        min_amount: fields.limit("min_amount")?,
        max_amount: fields.limit("max_amount")?,
        enabled: fields.flag("enabled")?,
        reason: fields.code("reason")?,
        comment: fields.text("comment", COMMENT_LENGTH_MAX)?,
        expires_time: fields.time("expires_time")?,
    };
    fields.finish()?;
    Ok(edit)
}

#[cfg(test)]
pub(crate) mod tests {
    use cashier_core::time::UnixTime;

    use super::*;

    pub(crate) const PUBLISHED_REQUEST: &str = r#"{"customer_id":5,"brand":"ion4","provider_config_id":1,"provider":"stripe","method":"card","mode":0,"min_amount":25.0,"max_amount":10000.0,"enabled":1,"reason":"VIP_ALLOW","comment":"Manual allow from customer card","expires_time":0}"#;

    #[test]
    fn the_published_request_reads_and_the_published_answer_writes() {
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
        let mut out = Vec::new();
        write(&mut out, &row);
        let expected = r#"{"id":3,"customer_id":5,"brand":"ion4","provider_config_id":1,"provider":"stripe","method":"card","mode":0,"min_amount":25.0,"max_amount":10000.0,"enabled":1,"reason":"VIP_ALLOW","comment":"Manual allow from customer card","expires_time":0,"created_time":1779270000,"updated_time":1779270000}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        assert_eq!(read(expected.as_bytes()).unwrap().id, Some(OverrideId(3)));
    }

    #[test]
    fn what_is_omitted_is_not_in_the_edit() {
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
