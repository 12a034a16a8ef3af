//! `POST /cashier/deposit` on the wire: the request, and the answer with what the customer does next (API.md section
//! 3). Shapes and lengths are judged here; who may deposit and through what is not.

use cashier_core::deposit::DepositRequest;
use cashier_core::ids::{ConfigId, CustomerId, Login};
use cashier_core::lengths::{CODE_LENGTH_MAX, IDEMPOTENCY_KEY_LENGTH_MAX};
use cashier_core::refusal::Refusal;
use cashier_core::texts::Texts;
use cashier_core::transaction::{NextAction, Transaction};

use crate::json_object::{answer, request};
use crate::wire::answer_values::StoredObject;
use crate::wire::object_text;
use crate::wire::read::read as read_request;
use crate::wire::transaction::{Audience, TransactionRecord};
use crate::wire::values::{
    Code, CurrencyCode, DecimalText, Judged, LoginId, Metadata, OrderComment, ProviderCode, ReturnUrl, RowId,
};

request! {
    /// A deposit as its customer orders it.
    pub struct DepositBody {
        login: LoginId, "trading account to credit, owned by the customer";
        provider: ProviderCode, "provider code";
        amount: DecimalText, "amount, a plain decimal with no more decimals than the currency has";
        currency: CurrencyCode, "currency of the amount, which is the account's";
        method: Option<Code<CODE_LENGTH_MAX>>, "provider method; empty leaves the choice to the config";
        provider_config_id: Option<RowId>, "provider config to use; 0 for the first one that fits";
        idempotency_key: Option<Code<IDEMPOTENCY_KEY_LENGTH_MAX>>, "the order is made once under it; empty is none";
        success_url: Option<ReturnUrl>, "https URL to which the customer returns after paying";
        failure_url: Option<ReturnUrl>, "https URL to which the customer returns after a failure";
        comment: Option<OrderComment>, "comment";
        metadata_json: Option<Metadata>, "metadata of the client's: a JSON object as a string";
    }
}

answer! {
    /// A deposit that was made, and what its customer does next.
    pub struct DepositAnswer<'a>(row: &'a Transaction, texts: &'a Texts, next: NextAction, url: &'a str, instructions_json: &'a str) {
        transaction: TransactionRecord<'a> = TransactionRecord::new(row, texts, Audience::Customer), "the transaction";
        next_action: &'a str = next.name(), "REDIRECT, INSTRUCTIONS, WAIT or NONE";
        redirect_url: &'a str = url, "where to send the customer; empty when there is nothing to open";
        instructions: StoredObject<'a> = StoredObject(instructions_json), "how to pay, where the provider says so";
    }
}

/// Reads the request of this customer.
pub fn read(json: &[u8], customer_id: CustomerId) -> Result<DepositRequest, Refusal> {
    let body: DepositBody = read_request(json, "the body")?;
    let mut refused_if_new = None;
    let mut text = |name: &str, field: Option<Judged>| text_of(name, field, &mut refused_if_new);
    Ok(DepositRequest {
        customer_id,
        login: Login(body.login.0),
        provider: body.provider.0,
        method: or_empty(body.method),
        provider_config_id: body.provider_config_id.map(|id| ConfigId(id.0)),
        amount: body.amount.of("amount", body.currency.0)?,
        idempotency_key: or_empty(body.idempotency_key),
        success_url: text("success_url", body.success_url.map(Into::into)),
        failure_url: text("failure_url", body.failure_url.map(Into::into)),
        comment: text("comment", body.comment.map(Into::into)),
        metadata_json: or_empty_object(text("metadata_json", body.metadata_json.map(Into::into))),
        refused_if_new,
    })
}

/// The text of a field, empty where it is not given.
pub(crate) fn or_empty(field: Option<impl Into<Box<str>>>) -> Box<str> {
    field.map(Into::into).unwrap_or_default()
}

/// A text of an order, empty where it is not given, and the first refusal of such texts.
pub(crate) fn text_of(name: &str, field: Option<Judged>, refusal: &mut Option<Refusal>) -> Box<str> {
    let Some(Judged { text, problem }) = field else { return Box::default() };
    if let Some(problem) = problem {
        refusal.get_or_insert_with(|| Refusal::invalid(format!("{name} {problem}")));
    }
    text
}

/// Metadata that is not given is an empty object.
pub(crate) fn or_empty_object(text: Box<str>) -> Box<str> {
    if text.is_empty() { object_text::EMPTY.into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::transaction::tests::published;

    const WHOLE: &str = r#"{"login":2000009,"provider":"stripe","amount":250.0,"currency":"USD","method":"card",
        "provider_config_id":1,"idempotency_key":"k-1","success_url":"https://shop.example/ok?a=1",
        "failure_url":"http://127.0.0.1:8080/no","comment":"first\nline","metadata_json":"{\"order\":\"A-1\"}"}"#;

    fn read_as_text(json: &str) -> String {
        read(json.as_bytes(), CustomerId(5)).map_or_else(|refusal| refusal.to_string(), |read| format!("{read:?}"))
    }

    #[test]
    fn every_field_is_read_and_four_are_required() {
        let request = read(WHOLE.as_bytes(), CustomerId(5)).unwrap();
        assert_eq!(
            format!("{request:?}"),
            r#"DepositRequest { customer_id: CustomerId(5), login: Login(2000009), provider: "stripe", method: "card", provider_config_id: Some(ConfigId(1)), amount: 250.0 USD, idempotency_key: "k-1", success_url: "https://shop.example/ok?a=1", failure_url: "http://127.0.0.1:8080/no", comment: "first\nline", metadata_json: "{\"order\":\"A-1\"}", refused_if_new: None }"#
        );
        let least = read_as_text(r#"{"login":1,"provider":"p","amount":1,"currency":"JPY","provider_config_id":0}"#);
        assert_eq!(
            least,
            r#"DepositRequest { customer_id: CustomerId(5), login: Login(1), provider: "p", method: "", provider_config_id: None, amount: 1.0 JPY, idempotency_key: "", success_url: "", failure_url: "", comment: "", metadata_json: "{}", refused_if_new: None }"#
        );
    }

    #[test]
    fn i1_what_stands_around_a_return_url_is_nothing() {
        for around in ["\\n", " ", "\\r\\n\\t", "\u{feff}", "\u{a0}"] {
            let url = format!("{around}https://shop.example/ok{around}");
            let json = format!(r#"{{"login":1,"provider":"p","amount":1,"currency":"USD","success_url":"{url}"}}"#);
            assert_eq!(
                &*read(json.as_bytes(), CustomerId(5)).unwrap().success_url,
                "https://shop.example/ok",
                "{json}"
            );
        }
        let blank = r#"{"login":1,"provider":"p","amount":1,"currency":"USD","success_url":" \n"}"#;
        assert_eq!(&*read(blank.as_bytes(), CustomerId(5)).unwrap().success_url, "");
    }

    #[test]
    fn a_wrong_field_is_named() {
        let with = |field: &str, value: &str| {
            let base = [("login", "1"), ("provider", "\"p\""), ("amount", "1"), ("currency", "\"USD\"")];
            let mut fields: Vec<(&str, &str)> = base.into_iter().filter(|(name, _)| *name != field).collect();
            fields.extend((!value.is_empty()).then_some((field, value)));
            let written: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            read_as_text(&format!("{{{}}}", written.join(",")))
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
            (
                "success_url",
                "\"javascript:alert(1)\"",
                "success_url must be an https URL: it must begin with https:// or http://",
            ),
            ("success_url", "\"http://shop.example/\"", "success_url must be an https URL"),
            (
                "success_url",
                "\"https://bank.example@evil.example/\"",
                "success_url must be an https URL: it must have no user name and no password",
            ),
            (
                "success_url",
                "\"https:\\\\\\\\evil.example\"",
                "success_url must be an https URL: it must begin with https:// or http://",
            ),
            ("failure_url", "\"https://\"", "failure_url must be an https URL: it is not a URL"),
            (
                "failure_url",
                "\"https://a b/\"",
                "failure_url must be an https URL: it has a blank, a line end or a control character in it",
            ),
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
    fn the_answer_has_the_transaction_and_the_next_action() {
        let (row, url) = (published(), "https://pay.example/c/1");
        let text =
            serde_json::to_string(&DepositAnswer::new(&row, &Texts::default(), NextAction::Redirect, url, "")).unwrap();
        assert!(text.starts_with(r#"{"transaction":{"id":15,"customer_id":5,"#), "{text}");
        let tail = r#"},"next_action":"REDIRECT","redirect_url":"https://pay.example/c/1","instructions":{}}"#;
        assert!(text.ends_with(tail), "{text}");
    }
}
