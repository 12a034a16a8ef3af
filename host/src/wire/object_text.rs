//! JSON objects that travel as strings (`metadata_json`, `settings_json`, `config_json`): what they may hold, and how
//! the host's own notes are left out of what a customer sees.

use std::borrow::Cow;

use cashier_core::refusal::Refusal;

use crate::wire::read::Fields;
use crate::wire::write;

/// The object without fields.
pub const EMPTY: &str = "{}";

/// The key under which the host keeps notes of its own; refused from clients, not shown to customers.
pub const RESERVED_KEY: &str = "_cashier";

/// Judges that the text is one JSON object without doubled keys.
pub fn check(text: &str, name: &str) -> Result<(), Refusal> {
    Fields::parse_open(text.as_bytes(), name).map(|_| ())
}

/// Judges metadata from a client: an object that leaves the host's key alone.
pub fn check_metadata(text: &str) -> Result<(), Refusal> {
    let fields = Fields::parse_open(text.as_bytes(), "metadata_json")?;
    if fields.rest().iter().any(|(key, _)| key == RESERVED_KEY) {
        return Err(Refusal::invalid(format!("metadata_json may not hold {RESERVED_KEY}")));
    }
    Ok(())
}

/// Metadata as a customer sees it. Text without the host's key is shown as it was given.
pub fn for_customer(text: &str) -> Cow<'_, str> {
    if !text.contains(RESERVED_KEY) {
        return Cow::Borrowed(text);
    }
    let Ok(fields) = Fields::parse_open(text.as_bytes(), "metadata_json") else { return Cow::Borrowed(EMPTY) };
    let mut out = Vec::with_capacity(text.len());
    write::object(&mut out, |object| {
        for (key, value) in fields.rest().into_iter().filter(|(key, _)| key != RESERVED_KEY) {
            object.raw_named(&key, value.get());
        }
    });
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_notes_are_refused_from_clients_and_hidden_from_customers() {
        for wrong in ["{\"_cashier\":1}", "{\"\\u005fcashier\":1}", "[]", "", "{\"a\":1,\"a\":2}", "{} {}"] {
            assert!(check_metadata(wrong).is_err(), "{wrong}");
        }
        let wide = format!("{{{}}}", (0..200).map(|n| format!("\"k{n}\":{n}")).collect::<Vec<_>>().join(","));
        for fine in ["{}", &wide, "{\"order\":\"A-1\",\"nested\":{\"_cashier\":1}}"] {
            assert_eq!(check_metadata(fine), Ok(()), "{fine}");
        }
        let table = [
            ("{ \"b\": 1.50, \"a\": [] }", "{ \"b\": 1.50, \"a\": [] }"),
            ("{\"b\":1.50,\"_cashier\":{\"x\":1},\"a\\\"\":\"_cashier\"}", "{\"b\":1.50,\"a\\\"\":\"_cashier\"}"),
            ("{\"_cashier\":{}}", "{}"),
            ("{\"_cashier\":", "{}"),
        ];
        for (kept, shown) in table {
            assert_eq!(for_customer(kept), shown);
        }
    }
}
