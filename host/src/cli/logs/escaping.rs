//! What others wrote is neither obeyed by whatever shows the log nor shown in another order, and no card number passes.

use std::fmt::{self, Write};

use cashier_core::card_data::masked;
use cashier_core::printable::{Printable, is_obeyed};
use tracing_subscriber::fmt::format::Writer;

/// Writes the inside of a JSON string.
pub(super) struct JsonEscaping<'a, 'b>(pub(super) &'a mut Writer<'b>);

impl Write for JsonEscaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let text = masked(text);
        let mut rest = &*text;
        while let Some((at, special)) =
            rest.char_indices().find(|(_, sign)| matches!(sign, '"' | '\\') || is_obeyed(*sign))
        {
            self.0.write_str(rest.get(..at).unwrap_or_default())?;
            match special {
                '"' => self.0.write_str("\\\"")?,
                '\\' => self.0.write_str("\\\\")?,
                '\n' => self.0.write_str("\\n")?,
                // All of them are of the first plane.
                obeyed => write!(self.0, "\\u{:04x}", u32::from(obeyed))?,
            }
            rest = rest.get(at + special.len_utf8()..).unwrap_or_default();
        }
        self.0.write_str(rest)
    }
}

/// Writes a text for a terminal.
pub(super) struct TerminalEscaping<'a, 'b>(pub(super) &'a mut Writer<'b>);

impl Write for TerminalEscaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write!(self.0, "{}", Printable(&masked(text)))
    }
}
