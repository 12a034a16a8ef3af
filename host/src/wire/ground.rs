//! The ground of a decision about a transaction on the wire: what an answer showed, and what comes back with a command so
//! that nobody decides about facts that he has not seen.

use std::borrow::Cow;

use serde::ser::{Serialize, Serializer};

use crate::json_object::schema::{schemas, text, with};
use crate::json_object::values;

/// Digits of a ground.
const GROUND_LENGTH: usize = 16;

values! {
    /// 16 hexadecimal digits, as an answer showed them.
    Ground(u64), with(&text(GROUND_LENGTH), "pattern", "^[0-9a-f]{16}$"), |raw| {
        let digits: Cow<'_, str> = serde_json::from_str(raw.get()).unwrap_or_default();
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_ground = digits.len() == GROUND_LENGTH && digits.bytes().all(is_hex);
        let read = u64::from_str_radix(&digits, 16).ok().filter(|_| is_ground);
        read.ok_or(Cow::Borrowed("must be the ground that an answer showed"))
    };
}

/// A ground as an answer shows it; empty where there is none.
pub struct GroundText(pub Option<u64>);

schemas! {
    GroundText => text(GROUND_LENGTH);
}

impl Serialize for GroundText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(ground) => serializer.collect_str(&format_args!("{ground:016x}")),
            None => serializer.serialize_str(""),
        }
    }
}
