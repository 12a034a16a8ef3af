//! The fields of an event as a person reads them on a terminal: the message, then `name=value`.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

use super::escaping::TerminalEscaping;

/// Writes fields with a blank between them.
pub(super) struct TerminalFields;

impl<'a> FormatFields<'a> for TerminalFields {
    fn format_fields<R: RecordFields>(&self, mut out: Writer<'a>, fields: R) -> fmt::Result {
        let mut written = TerminalFieldWriter { out: &mut out, is_first: true, result: Ok(()) };
        fields.record(&mut written);
        written.result
    }
}

/// Writes fields as they are visited. Visiting returns nothing, so the first failure is stored.
struct TerminalFieldWriter<'a, 'b> {
    out: &'a mut Writer<'b>,
    is_first: bool,
    result: fmt::Result,
}

impl Visit for TerminalFieldWriter<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.result.is_err() {
            return;
        }
        let blank = if std::mem::take(&mut self.is_first) { "" } else { " " };
        self.result = match field.name() {
            "message" => self.out.write_str(blank),
            name => write!(self.out, "{blank}{name}="),
        }
        .and_then(|()| write!(TerminalEscaping(self.out), "{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use cashier_core::printable::is_obeyed;

    use super::*;
    use crate::cli::logs::captured::Captured;

    #[test]
    fn k9_what_a_terminal_would_obey_is_escaped_in_every_kind_of_field() {
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(TerminalFields)
            .with_ansi(false)
            .without_time()
            .with_writer(move || writer.clone())
            .finish();
        let nasty = "a\u{1b}[31m\u{9b}1m\u{202e}b\nc\u{2066}é";
        crate::test_cashier::ask_each_thread();
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::info_span!("request", id = %nasty).entered();
            tracing::warn!(target: "t", given = nasty, shown = %nasty, order = %"4111111111111111", n = 7, "{nasty}");
        });
        let text = captured.text();
        let shown = "a\\u{1b}[31m\\u{9b}1m\\u{202e}b\\u{a}c\\u{2066}é";
        let line = text.strip_suffix('\n').unwrap();
        assert!(!line.chars().any(is_obeyed), "{line}");
        let expected = format!("{{id={shown}}}: t: {shown} given=");
        assert!(
            line.contains(&expected) && line.contains(&format!("shown={shown} order=411111******1111 n=7")),
            "{line}"
        );
    }
}
