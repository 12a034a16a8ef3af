//! JSON objects that travel as strings (`metadata_json`, `settings_json`, `config_json`): the server's own key in them,
//! and how it is left out of what a customer sees.

use std::borrow::Cow;

use serde::Serializer;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::json_object::{Members, Problem};
use crate::text_file::trimmed;
use crate::wire::read::check;

/// The object without fields.
pub const EMPTY: &str = "{}";

/// The key under which the server keeps notes of its own; refused from clients, not shown to customers.
pub const RESERVED_KEY: &str = "_cashier";

/// Judges metadata from a client: an object that leaves the server's key alone.
pub fn check_metadata(text: &str) -> Result<(), Problem> {
    match check(text)?.get(RESERVED_KEY) {
        Some(_) => Err(format!("may not hold {RESERVED_KEY}").into()),
        None => Ok(()),
    }
}

/// Metadata as a customer sees it. Text without the server's key is shown as it was given.
pub fn for_customer(text: &str) -> Cow<'_, str> {
    if !text.contains(RESERVED_KEY) {
        return Cow::Borrowed(text);
    }
    let Ok(Members(members)) = serde_json::from_str(text) else { return Cow::Borrowed(EMPTY) };
    let mut out = Vec::with_capacity(text.len());
    let shown = members.into_iter().filter(|(key, _)| key != RESERVED_KEY);
    match serde_json::Serializer::new(&mut out).collect_map(shown).map(|()| String::from_utf8(out)) {
        Ok(Ok(shown)) => Cow::Owned(shown),
        Ok(Err(_)) | Err(_) => Cow::Borrowed(EMPTY),
    }
}

/// New metadata with the server's key as it is stored, whatever the new text says of it.
pub fn keeping_reserved(text: &str, stored: &str) -> Box<str> {
    fn members(text: &str) -> Vec<(String, &RawValue)> {
        serde_json::from_str(text).map_or_else(|_| Vec::new(), |Members(members)| members)
    }
    let is_reserved = |key: &str| key == RESERVED_KEY;
    let kept: Vec<_> = members(stored).into_iter().filter(|(key, _)| is_reserved(key)).collect();
    let given = members(text);
    if kept.is_empty() && !given.iter().any(|(key, _)| is_reserved(key)) {
        return text.into();
    }
    let all = given.into_iter().filter(|(key, _)| !is_reserved(key)).chain(kept);
    let mut out = Vec::with_capacity(text.len());
    match serde_json::Serializer::new(&mut out).collect_map(all).map(|()| String::from_utf8(out)) {
        Ok(Ok(written)) => written.into(),
        Ok(Err(_)) | Err(_) => stored.into(),
    }
}

/// Settings as a person saved them: blanks and line ends around a value are nothing, as around a value of its own field. What
/// has none stays as it was written. A copy that is not returned may hold a secret and is overwritten.
pub fn trimmed_values(text: &str) -> Result<Zeroizing<String>, Problem> {
    let Members(members) = check(text)?;
    let mut trims = false;
    let mut values: Vec<(String, Zeroizing<String>)> = Vec::with_capacity(members.len());
    for (key, raw) in members {
        let value = match serde_json::from_str::<String>(raw.get()).map(Zeroizing::new) {
            Ok(value) if trimmed(&value).len() < value.len() => {
                trims = true;
                serde_json::to_string(trimmed(&value)).map_err(|_| "must be a JSON object as a string")?
            }
            Ok(_) | Err(_) => raw.get().to_owned(),
        };
        values.push((key, Zeroizing::new(value)));
    }
    if !trims {
        return Ok(Zeroizing::new(text.to_owned()));
    }
    let mut out = Zeroizing::new(String::with_capacity(text.len()));
    for (key, value) in &values {
        let key = serde_json::to_string(key).map_err(|_| "must be a JSON object as a string")?;
        let before = if out.is_empty() { '{' } else { ',' };
        out.push(before);
        out.push_str(&key);
        out.push(':');
        out.push_str(value);
    }
    out.push('}');
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m20_blanks_around_a_setting_are_nothing() {
        let table = [
            (
                r#"{"merchant_id":" acct_3\n", "n" : 1.50, "a":[" b "]}"#,
                r#"{"merchant_id":"acct_3","n":1.50,"a":[" b "]}"#,
            ),
            (r#"{"k\"":"\u0020x\u00a0"}"#, r#"{"k\"":"x"}"#),
            (r#"{ "b": 1.50, "a": "as is" }"#, r#"{ "b": 1.50, "a": "as is" }"#),
            (r#"{"blank":"  "}"#, r#"{"blank":""}"#),
            ("{}", "{}"),
        ];
        for (saved, stored) in table {
            assert_eq!(trimmed_values(saved).unwrap().as_str(), stored);
        }
        assert!(trimmed_values("[]").is_err());
    }

    #[test]
    fn the_servers_key_keeps_its_value_whatever_a_manager_writes() {
        let table = [
            (r#"{ "a": 1.50 }"#, "{}", r#"{ "a": 1.50 }"#),
            (r#"{"a":1}"#, r#"{"b":2,"_cashier":{"n":1.50}}"#, r#"{"a":1,"_cashier":{"n":1.50}}"#),
            (r#"{"_cashier":7,"a":1}"#, r#"{"_cashier":8}"#, r#"{"a":1,"_cashier":8}"#),
            (r#"{"_cashier":7,"a":1}"#, "{}", r#"{"a":1}"#),
            ("{}", r#"{"_cashier":8}"#, r#"{"_cashier":8}"#),
        ];
        for (given, stored, expected) in table {
            assert_eq!(&*keeping_reserved(given, stored), expected, "{given} {stored}");
        }
    }

    #[test]
    fn the_servers_key_is_refused_from_clients_and_hidden_from_customers() {
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
        for (stored, shown) in table {
            assert_eq!(for_customer(stored), shown);
        }
    }
}
