//! One event as one line of JSON: time, level, target, the event's own fields, then each span it happened in as an
//! object under the span's name. It is written straight into the line: a busy host writes ten thousand of these a second.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use super::escaping::JsonEscaping;

/// A whole line.
pub(super) struct JsonLine;

/// The fields of a span, stored with it as `"name":value,…`.
pub(super) struct JsonFields;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        out.write_str(r#"{"timestamp":""#)?;
        SystemTime.format_time(&mut out)?;
        write!(out, r#"","level":"{}","target":"#, metadata.level())?;
        text(&mut out, metadata.target())?;
        let mut fields = FieldWriter { out: &mut out, first: false, result: Ok(()) };
        event.record(&mut fields);
        fields.result?;
        for span in context.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<N>>().map_or("", |fields| fields.fields.as_str());
            out.write_char(',')?;
            text(&mut out, span.name())?;
            write!(out, ":{{{fields}}}")?;
        }
        out.write_str("}\n")
    }
}

impl<'a> FormatFields<'a> for JsonFields {
    fn format_fields<R: RecordFields>(&self, mut out: Writer<'a>, fields: R) -> fmt::Result {
        let mut written = FieldWriter { out: &mut out, first: true, result: Ok(()) };
        fields.record(&mut written);
        written.result
    }
}

/// Writes fields as they are visited. Visiting returns nothing, so the first failure is stored.
struct FieldWriter<'a, 'b> {
    out: &'a mut Writer<'b>,
    /// Whether the next field is the first.
    first: bool,
    result: fmt::Result,
}

impl FieldWriter<'_, '_> {
    fn field(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.result.is_err() {
            return;
        }
        let comma = if std::mem::take(&mut self.first) { "" } else { "," };
        self.result = self
            .out
            .write_str(comma)
            .and_then(|()| text(self.out, field.name()))
            .and_then(|()| self.out.write_char(':'))
            .and_then(|()| value(self.out));
    }
}

impl Visit for FieldWriter<'_, '_> {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field, |out| write!(out, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, |out| write!(out, "{value}"));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.field(field, |out| write!(out, "{value}"));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.field(field, |out| write!(out, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field, |out| out.write_str(if value { "true" } else { "false" }));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, |out| text(out, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.field(field, |out| {
            out.write_char('"')?;
            write!(JsonEscaping(out), "{value:?}")?;
            out.write_char('"')
        });
    }
}

/// A text in quotes.
fn text(out: &mut Writer<'_>, text: &str) -> fmt::Result {
    out.write_char('"')?;
    JsonEscaping(out).write_str(text)?;
    out.write_char('"')
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::cli::logs::captured::Captured;

    /// What `log` writes.
    fn raw(log: impl FnOnce()) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber = tracing_subscriber::fmt()
            .event_format(JsonLine)
            .fmt_fields(JsonFields)
            .with_writer(move || writer.clone())
            .finish();
        crate::test_cashier::ask_each_thread();
        tracing::subscriber::with_default(subscriber, log);
        captured.text()
    }

    /// The lines that `log` writes, without their times.
    fn logged(log: impl FnOnce()) -> Vec<Value> {
        let text = raw(log);
        let line = |line: &str| {
            let mut line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            let time = line.as_object_mut().unwrap().remove("timestamp").unwrap();
            assert!(time.as_str().unwrap().ends_with('Z'), "{time}");
            line
        };
        text.lines().map(line).collect()
    }

    #[test]
    fn a_line_contains_the_event_and_its_spans() {
        let lines = logged(|| {
            let _span = tracing::info_span!("request", id = %"abc").entered();
            tracing::info!(target: "access", status = 200, own_us = 7_u128, late = false, path = "/x", "done");
        });
        let expected = json!({
            "level": "INFO", "target": "access", "message": "done", "status": 200, "own_us": 7, "late": false,
            "path": "/x", "request": {"id": "abc"},
        });
        assert_eq!(lines, [expected]);
    }

    #[test]
    fn untrusted_text_is_escaped() {
        let nasty = "a\"b\\c\nd\u{1}e\u{7f}\u{2028}€\u{10ffff}";
        let lines = logged(|| tracing::warn!(given = nasty, shown = %nasty, spelled = ?nasty));
        let line = lines.first().unwrap();
        assert_eq!((line["given"].as_str(), line["shown"].as_str()), (Some(nasty), Some(nasty)));
        assert_eq!(line["spelled"], json!(format!("{nasty:?}")));
        assert_eq!(lines.len(), 1);
    }

    #[test]
    fn k9_a_line_has_no_character_that_a_terminal_or_an_editor_obeys() {
        let nasty = "a\u{7f}\u{85}\u{9b}\u{61c}\u{200e}\u{2028}\u{202e}\u{2066}é";
        let raw = raw(|| tracing::warn!(given = nasty, shown = %nasty, "{nasty}"));
        let line = raw.strip_suffix('\n').unwrap();
        assert!(!line.chars().any(cashier_core::printable::is_obeyed), "{line}");
        let read: Value = serde_json::from_str(line).unwrap();
        assert_eq!([&read["given"], &read["shown"], &read["message"]], [nasty; 3]);
    }

    #[test]
    fn k8_order_ids_that_may_be_card_numbers_are_masked_in_every_field() {
        let lines = logged(|| {
            let order = "4111111111111111";
            let _span = tracing::info_span!("request", id = %order).entered();
            tracing::warn!(order, shown = %order, spelled = ?order, n = 7, "about {order}");
        });
        let masked = "411111******1111";
        let line = lines.first().unwrap();
        assert_eq!([&line["order"], &line["shown"], &line["request"]["id"]], [masked; 3]);
        assert_eq!(
            (&line["spelled"], &line["message"]),
            (&json!("\"411111******1111\""), &json!("about 411111******1111"))
        );
        assert_eq!(line["n"], 7);
    }
}
