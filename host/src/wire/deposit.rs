//! `POST /cashier/deposit` on the wire: the request as asked, and the answer with what the customer does next
//! (API.md section 3). Shapes and lengths are judged here; who may deposit and through what is not.

use std::net::IpAddr;

use cashier_core::deposit::DepositRequest;
use cashier_core::ids::{ConfigId, CustomerId, Login};
use cashier_core::lengths::{COMMENT_LENGTH_MAX, IDEMPOTENCY_KEY_LENGTH_MAX, OBJECT_TEXT_LENGTH_MAX, URL_LENGTH_MAX};
use cashier_core::refusal::Refusal;
use cashier_core::transaction::{NextAction, Transaction};
use url::Url;

use crate::wire::object_text;
use crate::wire::read::{Fields, missing};
use crate::wire::transaction::{self, View};
use crate::wire::write;

/// Reads the request of this customer.
pub fn read(json: &[u8], customer_id: CustomerId) -> Result<DepositRequest, Refusal> {
    let mut fields = Fields::parse(json, "the body")?;
    let login = Login(fields.id_required("login")?);
    let provider = fields.code("provider")?.filter(|code| !code.is_empty()).ok_or_else(|| missing("provider"))?;
    let currency = fields.currency("currency")?.ok_or_else(|| missing("currency"))?;
    let request = DepositRequest {
        customer_id,
        login,
        provider,
        method: fields.code("method")?.unwrap_or_default(),
        provider_config_id: fields.id("provider_config_id")?.filter(|id| *id > 0).map(ConfigId),
        amount: fields.amount("amount", currency)?.ok_or_else(|| missing("amount"))?,
        idempotency_key: idempotency_key(&mut fields)?,
        success_url: return_url(&mut fields, "success_url")?,
        failure_url: return_url(&mut fields, "failure_url")?,
        comment: fields.text("comment", COMMENT_LENGTH_MAX)?.unwrap_or_default(),
        metadata_json: metadata_json(&mut fields)?,
    };
    fields.finish()?;
    Ok(request)
}

/// Writes the answer: the transaction, the next action, and what the provider gave for it.
pub fn write(
    out: &mut Vec<u8>,
    transaction: &Transaction,
    next_action: NextAction,
    redirect_url: &str,
    instructions_json: &str,
) {
    let instructions = if instructions_json.is_empty() { object_text::EMPTY } else { instructions_json };
    write::object(out, |fields| {
        fields
            .value("transaction", |out| transaction::write(out, transaction, View::Customer))
            .text("next_action", next_action.word())
            .text("redirect_url", redirect_url)
            .raw("instructions", instructions);
    });
}

pub(crate) fn idempotency_key(fields: &mut Fields<'_>) -> Result<Box<str>, Refusal> {
    Ok(fields.code_within("idempotency_key", IDEMPOTENCY_KEY_LENGTH_MAX)?.unwrap_or_default())
}

pub(crate) fn metadata_json(fields: &mut Fields<'_>) -> Result<Box<str>, Refusal> {
    let text =
        fields.object_text("metadata_json", OBJECT_TEXT_LENGTH_MAX)?.unwrap_or_else(|| object_text::EMPTY.into());
    object_text::check_metadata(&text)?;
    Ok(text)
}

/// Where the customer comes back to: `https`, or `http` on this very machine, which the flow allows in sandbox alone.
/// Kept as it was written; a URL that is read differently by different parsers (blanks, user names, letters beyond
/// ASCII) is refused.
fn return_url(fields: &mut Fields<'_>, name: &str) -> Result<Box<str>, Refusal> {
    let Some(text) = fields.text(name, URL_LENGTH_MAX)?.filter(|text| !text.is_empty()) else {
        return Ok(Box::default());
    };
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let sound = plain && Url::parse(&text).is_ok_and(|url| leads_home(&text, &url));
    if sound { Ok(text) } else { Err(Refusal::invalid(format!("{name} must be an https URL"))) }
}

fn leads_home(text: &str, url: &Url) -> bool {
    let anonymous = url.username().is_empty() && url.password().is_none();
    let Some(host) = url.host_str().filter(|_| anonymous) else { return false };
    text.starts_with("https://") || (text.starts_with("http://") && is_loopback(host))
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::transaction::tests::published;

    const WHOLE: &str = r#"{"login":2000009,"provider":"stripe","amount":250.0,"currency":"USD","method":"card",
        "provider_config_id":1,"idempotency_key":"k-1","success_url":"https://shop.example/ok?a=1",
        "failure_url":"http://127.0.0.1:8080/no","comment":"first\nline","metadata_json":"{\"order\":\"A-1\"}"}"#;

    fn said(json: &str) -> String {
        read(json.as_bytes(), CustomerId(5)).map_or_else(|refusal| refusal.to_string(), |read| format!("{read:?}"))
    }

    #[test]
    fn every_field_is_read_and_only_four_are_needed() {
        let request = read(WHOLE.as_bytes(), CustomerId(5)).unwrap();
        assert_eq!(
            format!("{request:?}"),
            r#"DepositRequest { customer_id: CustomerId(5), login: Login(2000009), provider: "stripe", method: "card", provider_config_id: Some(ConfigId(1)), amount: 250.0 USD, idempotency_key: "k-1", success_url: "https://shop.example/ok?a=1", failure_url: "http://127.0.0.1:8080/no", comment: "first\nline", metadata_json: "{\"order\":\"A-1\"}" }"#
        );
        let least = said(r#"{"login":1,"provider":"p","amount":1,"currency":"JPY","provider_config_id":0}"#);
        assert_eq!(
            least,
            r#"DepositRequest { customer_id: CustomerId(5), login: Login(1), provider: "p", method: "", provider_config_id: None, amount: 1.0 JPY, idempotency_key: "", success_url: "", failure_url: "", comment: "", metadata_json: "{}" }"#
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let with = |field: &str, value: &str| {
            let base = [("login", "1"), ("provider", "\"p\""), ("amount", "1"), ("currency", "\"USD\"")];
            let mut fields: Vec<(&str, &str)> = base.into_iter().filter(|(name, _)| *name != field).collect();
            fields.extend((!value.is_empty()).then_some((field, value)));
            let written: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            said(&format!("{{{}}}", written.join(",")))
        };
        let long = |length: usize| format!("\"{}\"", "x".repeat(length));
        let metadata = format!("\"{{\\\"a\\\":{}}}\"", long(16 * 1024).replace('"', "\\\""));
        let table = [
            ("login", "", "login is required"),
            ("login", "0", "login is required"),
            ("login", "\"1\"", "login must be a whole number that is an id"),
            ("provider", "", "provider is required"),
            ("provider", "\"\"", "provider is required"),
            ("currency", "\"usd\"", "currency usd is not a known currency"),
            ("currency", "null", "currency is required"),
            ("amount", "", "amount is required"),
            ("amount", "\"1\"", "amount is not a plain decimal number"),
            ("amount", "1e3", "amount is not a plain decimal number"),
            ("amount", "1.005", "amount has more decimals than its currency"),
            ("amount", "-1", "amount must be greater than zero"),
            ("amount", "10000000000000.01", "amount is larger than 10^15 minor units"),
            ("provider", &long(65), "provider is longer than 64 bytes"),
            ("idempotency_key", &long(129), "idempotency_key is longer than 128 bytes"),
            ("comment", &long(513), "comment is longer than 512 bytes"),
            ("success_url", &long(2049), "success_url is longer than 2048 bytes"),
            ("success_url", "\"javascript:alert(1)\"", "success_url must be an https URL"),
            ("success_url", "\"http://shop.example/\"", "success_url must be an https URL"),
            ("success_url", "\"https://bank.example@evil.example/\"", "success_url must be an https URL"),
            ("success_url", "\"https:\\\\\\\\evil.example\"", "success_url must be an https URL"),
            ("failure_url", "\"https://\"", "failure_url must be an https URL"),
            ("failure_url", "\"https://a b/\"", "failure_url must be an https URL"),
            ("metadata_json", "\"[]\"", "metadata_json must be a JSON object"),
            ("metadata_json", "{}", "metadata_json must be a string"),
            ("metadata_json", "\"{\\\"_cashier\\\":1}\"", "metadata_json may not hold _cashier"),
            ("metadata_json", &metadata, "metadata_json is longer than 16384 bytes"),
            ("succes_url", "\"https://shop.example/\"", "succes_url is not a field of this request"),
        ];
        for (field, value, expected) in table {
            assert_eq!(with(field, value), format!("INVALID_DATA: {expected}"), "{field} {value}");
        }
    }

    #[test]
    fn the_answer_shows_the_transaction_and_the_next_step() {
        let mut out = Vec::new();
        write(&mut out, &published(), NextAction::Redirect, "https://pay.example/c/1", "");
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with(r#"{"transaction":{"id":15,"customer_id":5,"#), "{text}");
        let tail = r#"},"next_action":"REDIRECT","redirect_url":"https://pay.example/c/1","instructions":{}}"#;
        assert!(text.ends_with(tail), "{text}");
    }
}
