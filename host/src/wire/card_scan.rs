//! Looks for card data in what people and integrators write freely: comments, codes and metadata. The cashier must not store
//! it, so it is refused with a sentence that repeats nothing of it. What is a name or a number of a card, the core decides.

use std::borrow::Cow;
use std::fmt;

use cashier_core::card_data::{NUMBER_PROBLEM, holds_card_number, percent_decoded};
use cashier_core::card_field::CardField;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::json_object::Problem;
use crate::text_file::trimmed;

const FIELD: &str = "has a field that is named like a card number or a card's security code and holds one: no card data may be sent or stored here";
const UNREAD: &str = "is nested too deeply";

/// How often a text within a text is read as JSON; each level is written with twice the backslashes, so that no longest text
/// has more.
const TEXTS_IN_TEXTS_MAX: u8 = 16;

/// Judges a text; one that is a JSON object or array, as JSON too.
///
/// # Errors
/// It holds card data.
pub(super) fn check_text(text: &str) -> Result<(), Problem> {
    match judge(text, TEXTS_IN_TEXTS_MAX) {
        Some(found) => Err(Problem::Borrowed(found)),
        None => Ok(()),
    }
}

/// Judges a JSON object written as a text, with the names and texts in it, however deep.
///
/// # Errors
/// It holds card data, or cannot be read as deep as it is nested.
pub(super) fn check_object(text: &str) -> Result<(), Problem> {
    check_text(text)?;
    match scan(text) {
        Ok(_) => Ok(()),
        Err(_) => Err(Problem::Borrowed(UNREAD)),
    }
}

/// Judges a URL: each of its parts as text, each name of its query with its value like a field of metadata.
///
/// # Errors
/// It holds card data.
pub(super) fn check_url(url: &str) -> Result<(), Problem> {
    // What a shop's page makes of a fragment or of `;` within a path is its own matter.
    for part in url.split(['/', '?', '#', '&', ';']) {
        let part = percent_decoded(&part.replace('+', " "));
        check_text(&part)?;
        let Some((name, value)) = part.split_once('=') else { continue };
        check_text(value)?;
        if CardField::named(name).is_some_and(|field| field.may_be(value)) {
            return Err(Problem::Borrowed(FIELD));
        }
    }
    Ok(())
}

fn judge(text: &str, levels: u8) -> Option<&'static str> {
    if holds_card_number(text) {
        return Some(NUMBER_PROBLEM);
    }
    let levels = levels.checked_sub(1)?;
    // A text that only looks like JSON is a text. A text of JSON may itself be one that is JSON.
    let text = trimmed(text);
    let found = text.starts_with(['{', '[', '"']).then(|| scan(text).ok())??;
    found.problem.or_else(|| found.texts.iter().find_map(|inner| judge(inner, levels)))
}

fn scan(text: &str) -> Result<Scanned, serde_json::Error> {
    serde_json::from_str(&without_halves(text))
}

/// The same JSON with U+FFFD for each escaped half of a character whose other half is missing: what writes a text that was
/// cut within an emoji makes them, JSON allows them, and a Rust string cannot hold them.
fn without_halves(text: &str) -> Cow<'_, str> {
    let unit = |at: usize| {
        let digits = text.get(at..at.checked_add(6)?)?.strip_prefix("\\u")?;
        u32::from_str_radix(digits, 16).ok()
    };
    let (mut written, mut taken, mut at) = (String::new(), 0, 0);
    while let Some(found) = text.get(at..).and_then(|rest| rest.find('\\')) {
        at += found;
        at += match (unit(at), unit(at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                written.push_str(text.get(taken..at).unwrap_or_default());
                written.push_str("\\ufffd");
                taken = at + 6;
                6
            }
            // What is escaped may have several bytes only where this is no JSON.
            _ => 1 + text.get(at + 1..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8),
        };
    }
    if taken == 0 {
        return Cow::Borrowed(text);
    }
    written.push_str(text.get(taken..).unwrap_or_default());
    Cow::Owned(written)
}

/// What a JSON value holds: the first problem of its names, and the texts that are still to be judged.
#[derive(Default)]
struct Scanned {
    problem: Option<&'static str>,
    texts: Vec<String>,
}

impl Scanned {
    fn add(&mut self, inner: Self) {
        self.problem = self.problem.or(inner.problem);
        self.texts.extend(inner.texts);
    }
}

impl<'de> Deserialize<'de> for Scanned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScanVisitor)
    }
}

/// Visits every name and text, also those of a name that stands twice.
struct ScanVisitor;

impl<'de> Visitor<'de> for ScanVisitor {
    type Value = Scanned;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scanned, A::Error> {
        let mut scanned = Scanned::default();
        while let Some(name) = map.next_key::<String>()? {
            let value: Scanned = map.next_value()?;
            // Also where the value is a list, or an object about one card. Numbers are among the texts.
            if let Some(field) = CardField::named(&name)
                && value.texts.iter().any(|text| field.may_be(text))
            {
                scanned.problem = scanned.problem.or(Some(FIELD));
            }
            scanned.texts.push(name);
            scanned.add(value);
        }
        Ok(scanned)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Scanned, A::Error> {
        let mut scanned = Scanned::default();
        while let Some(item) = items.next_element()? {
            scanned.add(item);
        }
        Ok(scanned)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scanned, E> {
        Ok(Scanned { problem: None, texts: vec![text.to_owned()] })
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Scanned, E> {
        Ok(Scanned::default())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Scanned, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Scanned, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_unit<E: Error>(self) -> Result<Scanned, E> {
        Ok(Scanned::default())
    }
}

#[cfg(test)]
mod tests {
    use cashier_core::ids::CustomerId;
    use cashier_core::refusal::Refusal;

    use super::*;
    use crate::wire;

    const NUMBER: &str = NUMBER_PROBLEM;

    #[test]
    fn k8_card_data_in_metadata_is_refused_at_any_depth_and_never_repeated() {
        let inner = r#"{"cvv":"987"}"#;
        let number = [
            r#"{"note":"4111 1111 1111 1111"}"#,
            r#"{"note":"4111\u00201111\u002d1111 1111"}"#,
            r#"{"a":[1,{"b":["x","3782 822463 10005"]}]}"#,
            r#"{"4111-1111-1111-1111":true}"#,
            r#"{"a":{"x":"4111 1111 1111 1111","x":"other"}}"#,
        ];
        let named = [
            r#"{"cvv":"987"}"#,
            r#"{"cvv":987}"#,
            r#"{"CVV":[987]}"#,
            r#"{"pan":{"value":4111111111111111}}"#,
            r#"{"c\u0076v":"987"}"#,
            r#"{"card":{"number":"x","Security Code":"987"}}"#,
            r#"{"a":[[{"card-number":"4111111111111111"}]]}"#,
            &serde_json::json!({"text": inner}).to_string(),
            &serde_json::json!({"text": serde_json::json!({"deep": inner}).to_string()}).to_string(),
        ];
        for (texts, problem) in [(&number[..], NUMBER), (&named[..], FIELD)] {
            for text in texts {
                let refused = check_object(text).unwrap_err();
                assert_eq!(refused, problem, "{text}");
                assert!(!refused.contains("987") && !refused.contains("1111"), "{refused}");
            }
        }
    }

    #[test]
    fn k8_order_ids_of_sixteen_digits_and_everything_else_are_accepted() {
        let fine = [
            "{}",
            r#"{"order":"4111111111111111","n":4111111111111111,"f":1.5e300,"list":[true,null,-7]}"#,
            r#"{"order":"1234567812345670","card":"visa","text":"{not json","other":"[1"}"#,
            r#"{"cvv_result":"M","phone":"+49 30 1234 5678","uuid":"f81d4fae-7dec-1111-2222-00a0c91e6bf6"}"#,
            r#"{"loyalty_card_number":"6012345678901234","id_card_number":"123456789012","security_code":"AAPL"}"#,
            r#"{"track_data":{"campaign":"spring"},"CVV":null,"card_number":"411111******1111","pan":"ABCDE1234F"}"#,
        ];
        for text in fine {
            assert_eq!(check_object(text), Ok(()), "{text}");
        }
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
        assert_eq!(check_object(&deep), Err(Problem::Borrowed(UNREAD)));
    }

    #[test]
    fn k8_json_in_texts_of_json_is_read_with_whatever_stands_before_it() {
        let card = [r#"{"cvv":"123"}"#, r#" [{"card_number":"4111111111111111"}] "#, r#"{"x":{"ccv":123}}"#];
        for (card, before) in
            card.into_iter().flat_map(|card| ["", "\u{feff}", " \n\t", "\u{a0}\u{feff} "].map(|mark| (card, mark)))
        {
            let mut text = card.to_owned();
            for level in 0..5 {
                text = serde_json::json!(format!("{before}{text}")).to_string();
                let metadata = format!(r#"{{"x":{text}}}"#);
                assert_eq!(check_object(&metadata), Err(Problem::Borrowed(FIELD)), "{level}: {metadata}");
                assert_eq!(check_text(&text), Err(Problem::Borrowed(FIELD)), "{level}: {text}");
            }
        }
        assert_eq!(check_object(r#"{"x":"\"a quoted text\"","y":"\"4111111111111111\"","z":"\""}"#), Ok(()));
    }

    #[test]
    fn k8_a_return_url_is_judged_like_metadata_whatever_of_it_is_escaped() {
        for number in [
            "https://shop.example/?card=4111-1111-1111-1111",
            "https://shop.example/?x=4111+1111+1111+1111",
            "https://shop.example/4111%201111%2520111%31%201111/ok",
            "https://shop.example/#4111-1111-1111-1111",
            "https://shop.example/?4111-1111-1111-1111=1",
        ] {
            assert_eq!(check_url(number), Err(Problem::Borrowed(NUMBER)), "{number}");
        }
        for named in [
            "https://shop.example/?a=1&cvv=123",
            "https://shop.example/?a=1;cvv=123",
            "https://shop.example/#cvv=123",
            "https://shop.example/x;cvc=1234/y",
            "https://shop.example/?card%5Bnumber%5D=4111111111111111",
            "https://shop.example/?c%76v=%3123",
            "https://shop.example/?data=%7B%22cvv%22%3A%22123%22%7D",
        ] {
            assert_eq!(check_url(named), Err(Problem::Borrowed(FIELD)), "{named}");
        }
        for fine in [
            "https://shop.example/return?order=4111111111111111&cvv_result=M&ts=2026-11-29&card=visa",
            "https://shop.example/%7Border%7D?id=f81d4fae-7dec-1111-2222-00a0c91e6bf6#ok",
            "https://shop.example:8443/100%/%zz?=&==",
        ] {
            assert_eq!(check_url(fine), Ok(()), "{fine}");
        }
    }

    #[test]
    fn k8_codes_of_the_roster_are_judged_like_those_of_requests() {
        let pan = "4111 1111 1111 1111";
        let refused = |read: Result<(), String>| assert!(read.unwrap_err().contains(NUMBER));
        let group = serde_json::json!({"group": pan, "brand": "b", "currency": "USD", "account_mode": 1, "enable": 1});
        let of_brand =
            serde_json::json!({"group": "g", "brand": pan, "currency": "USD", "account_mode": 1, "enable": 1});
        for entry in [group, of_brand] {
            refused(
                serde_json::from_str::<wire::roster::GroupEntry>(&entry.to_string())
                    .map(drop)
                    .map_err(|e| e.to_string()),
            );
        }
        let customer = serde_json::json!({"customer_id": 5, "country": "DE", "brand": r#"{"cvv":"123"}"#, "status": 0,
            "deposit_allowed": 1, "withdrawal_allowed": 1});
        let read = serde_json::from_str::<wire::roster::CustomerEntry>(&customer.to_string());
        assert!(read.map(drop).unwrap_err().to_string().contains(FIELD));
        let account = serde_json::json!({"login": 1, "customer_id": 5, "group": pan, "enable": 1});
        refused(
            serde_json::from_str::<wire::roster::AccountLine>(&account.to_string())
                .map(drop)
                .map_err(|e| e.to_string()),
        );
    }

    #[test]
    fn k8_half_a_character_is_accepted_as_ever_and_hides_no_card_data() {
        for fine in [
            r#"{"name":"Ann \ud83d"}"#,
            r#"{"name":"\ude00 \ud83d\ude00 \ud83d\ud83d\n"}"#,
            r#"{"\ud83d":"\\ud83d","x":"{\"y\":\"\\ud83d\"}"}"#,
        ] {
            assert_eq!(check_object(fine), Ok(()), "{fine}");
        }
        for hidden in [
            r#"{"y":"\ud83d","cvv":"987"}"#,
            r#"{"y":"\ude00\\","a":[{"cvv":"987","z":"\ud83dx"}]}"#,
            r#"{"x":"{\"cvv\":\"987\",\"y\":\"\\ud83d\"}"}"#,
        ] {
            assert_eq!(check_object(hidden), Err(Problem::Borrowed(FIELD)), "{hidden}");
        }
        let number = r#"{"y":"\ud83d","note":"4111\u00201111 1111 1111"}"#;
        assert_eq!(check_object(number), Err(Problem::Borrowed(NUMBER)));
    }

    #[test]
    fn k8_every_free_text_and_code_of_a_request_is_judged() {
        let number = "4111 1111 1111 1111";
        let fields = |order: &str| format!("{order}\"amount\":1,\"currency\":\"USD\",\"login\":1");
        let deposit = |more: &str| {
            let order = fields("\"provider\":\"p\",");
            let read = wire::deposit::read(format!("{{{order},{more}}}").as_bytes(), CustomerId(5))?;
            read.refused_if_new.map_or(Ok(()), Err)
        };
        let withdrawal = |more: &str| {
            let read = wire::withdrawal::read(format!("{{{},{more}}}", fields("")).as_bytes(), CustomerId(5))?;
            read.refused_if_new.map_or(Ok(()), Err)
        };
        let exception = |more: &str| wire::customer_override::read(format!("{{{more}}}").as_bytes()).map(drop);
        let metadata = serde_json::json!(r#"{"a":{"cvv":"987"}}"#).to_string();
        for order in [&deposit as &dyn Fn(&str) -> Result<(), Refusal>, &withdrawal] {
            let refused = order(&format!("\"metadata_json\":{metadata}")).unwrap_err();
            assert_eq!(refused.message, format!("metadata_json {FIELD}"));
            for field in ["comment", "idempotency_key", "method"] {
                let refused = order(&format!("\"{field}\":\"{number}\"")).unwrap_err();
                assert_eq!(refused.message, format!("{field} {NUMBER}"));
            }
            order("\"metadata_json\":\"{\\\"order\\\":\\\"4111111111111111\\\"}\",\"comment\":\"4111111111111111\"")
                .unwrap();
        }
        for field in ["success_url", "failure_url"] {
            let refused = deposit(&format!("\"{field}\":\"https://shop.example/?cvv=987\"")).unwrap_err();
            assert_eq!(refused.message, format!("{field} {FIELD}"));
        }
        for field in ["comment", "reason"] {
            let refused = exception(&format!("\"{field}\":\"{number}\"")).unwrap_err();
            assert_eq!(refused.message, format!("{field} {NUMBER}"));
        }
        let unknown = exception(&format!("\"{number}\":1")).unwrap_err();
        assert_eq!(unknown.message, "4111 11** **** 1111 is not a field of this request");
    }

    #[test]
    fn k8_a_comment_is_judged_as_text_and_as_json() {
        assert_eq!(check_text("call me: 4111 1111 1111 1111"), Err(Problem::Borrowed(NUMBER)));
        assert_eq!(check_text(" [{\"pan\": 4111111111111111}]"), Err(Problem::Borrowed(FIELD)));
        for fine in ["", "order 4111111111111111", "{a", "first\nline", "[1, 2]"] {
            assert_eq!(check_text(fine), Ok(()), "{fine}");
        }
    }
}
