//! Which characters a text may show: the judge of codes, and the escaping of texts that others wrote. It does not know
//! where a text comes from; free texts of people keep marks of writing direction, which their languages need.

use std::fmt::{self, Display, Formatter, Write};

use crate::card_data::{NUMBER_PROBLEM, holds_card_number};

/// Whether a terminal or an editor obeys the character, or shows what surrounds it in another order or on another line:
/// C0, DEL and C1, marks and embeddings of direction, line and paragraph separators.
pub fn is_obeyed(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether the character cannot be seen at all, so that two codes that differ look alike.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200d}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// Judges what a code contains, of a brand, method, provider, currency, key or group: one line of characters that are
/// seen, without blanks around it, and no card number. Its length is judged where it is read.
///
/// # Errors
/// What is wrong, behind the code's name.
pub fn check_code(code: &str) -> Result<(), &'static str> {
    if code.trim() != code || code.contains(['\n', '\r', '\t', '\u{2028}', '\u{2029}']) {
        return Err("must be one line without blanks around it");
    }
    match code.chars().find(|character| is_obeyed(*character) || is_invisible(*character)) {
        Some(control) if control.is_control() => Err("holds control characters"),
        Some(_) => Err("holds characters that cannot be seen"),
        None if holds_card_number(code) => Err(NUMBER_PROBLEM),
        None => Ok(()),
    }
}

/// A text as it is shown to an operator: what would be obeyed is escaped, as `\u{202e}`.
#[derive(Debug, Clone, Copy)]
pub struct Printable<'a>(pub &'a str);

impl Display for Printable<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            if is_obeyed(character) {
                write!(out, "{}", character.escape_unicode())?
            } else {
                out.write_char(character)?
            }
        }
        Ok(())
    }
}
