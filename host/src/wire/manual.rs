//! The requests about manual transactions on the wire (API.md section 4). Shapes and lengths are judged here; what may be
//! entered and decided is not.

use cashier_core::ids::{CustomerId, Login};
use cashier_core::lengths::{CODE_LENGTH_MAX, IDEMPOTENCY_KEY_LENGTH_MAX};
use cashier_core::manual::ManualRequest;
use cashier_core::refs::ProviderRef;
use cashier_core::refusal::Refusal;
use cashier_core::status::TransactionType;

use crate::json_object::request;
use crate::wire::deposit::{or_empty, or_empty_object, text_of};
use crate::wire::ground::Ground;
use crate::wire::read::read as read_request;
use crate::wire::values::{
    Code, CurrencyCode, DecimalText, Flag, LoginId, Metadata, OrderComment, RecordId, RequiredComment, RowId,
};

/// Longest id of a payment, that of a provider.
const PAYMENT_ID_LENGTH_MAX: usize = ProviderRef::VALUE_LENGTH_MAX;

request! {
    /// A deposit or withdrawal as a manager enters it.
    pub struct ManualBody {
        login: LoginId, "trading account to credit or debit";
        amount: DecimalText, "amount, a plain decimal with no more decimals than the currency has";
        currency: CurrencyCode, "currency of the amount, which is the account's";
        customer_id: Option<RowId>, "owner of the account, to be sure; 0 is not given";
        method: Option<Code<CODE_LENGTH_MAX>>, "how the money came or goes";
        provider_payment_id: Option<Code<PAYMENT_ID_LENGTH_MAX>>, "the bank's or provider's id of the payment";
        idempotency_key: Option<Code<IDEMPOTENCY_KEY_LENGTH_MAX>>, "it is entered once under it; empty is none";
        comment: Option<OrderComment>, "comment";
        metadata_json: Option<Metadata>, "metadata of the client's: a JSON object as a string";
        process_now: Option<Flag>, "1 to process it at once";
        force: Option<Flag>, "1 to enter it beside an open deposit over the same amount";
    }

    /// The rejection of a manual transaction.
    pub struct ManualRejection {
        id: RecordId, "id of the transaction";
        reject_reason: RequiredComment, "why, for the customer too";
        ground: Option<Ground>, "what was shown of the transaction: changed since, nothing is done";
    }

    /// The approval of a manual transaction.
    pub struct ManualApproval {
        id: RecordId, "id of the transaction";
        ground: Option<Ground>, "what was shown of the transaction: changed since, nothing is done";
    }
}

/// Reads what a manager enters.
pub fn read(json: &[u8], kind: TransactionType) -> Result<ManualRequest, Refusal> {
    let body: ManualBody = read_request(json, "data")?;
    let mut refused_if_new = None;
    let comment = text_of("comment", body.comment.map(Into::into), &mut refused_if_new);
    let metadata = text_of("metadata_json", body.metadata_json.map(Into::into), &mut refused_if_new);
    Ok(ManualRequest {
        kind,
        login: Login(body.login.0),
        amount: body.amount.of("amount", body.currency.0)?,
        customer_id: body.customer_id.map(|id| CustomerId(id.0)),
        method: or_empty(body.method),
        provider_payment_id: or_empty(body.provider_payment_id),
        idempotency_key: or_empty(body.idempotency_key),
        comment,
        metadata_json: or_empty_object(metadata),
        process_now: body.process_now.is_some_and(|flag| flag.0),
        force: body.force.is_some_and(|flag| flag.0),
        refused_if_new,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_transaction_is_read_and_a_wrong_field_is_named() {
        let read_as_text = |json: &str| {
            read(json.as_bytes(), TransactionType::Deposit)
                .map_or_else(|refusal| refusal.to_string(), |read| format!("{read:?}"))
        };
        let whole = r#"{"login":7,"amount":10.50,"currency":"USD","customer_id":5,"method":"bank","provider_payment_id":"B-1",
            "idempotency_key":"k","comment":"c","metadata_json":"{\"a\":1}","process_now":1,"force":1}"#;
        assert_eq!(
            read_as_text(whole),
            r#"ManualRequest { kind: Deposit, login: Login(7), amount: 10.5 USD, customer_id: Some(CustomerId(5)), method: "bank", provider_payment_id: "B-1", idempotency_key: "k", comment: "c", metadata_json: "{\"a\":1}", process_now: true, force: true, refused_if_new: None }"#
        );
        let table = [
            (r#"{"amount":1,"currency":"USD"}"#, "login is required"),
            (r#"{"login":7,"currency":"USD"}"#, "amount is required"),
            (r#"{"login":7,"amount":1}"#, "currency is required"),
            (r#"{"login":7,"amount":0,"currency":"USD"}"#, "amount must be greater than zero"),
            (r#"{"login":7,"amount":1.005,"currency":"USD"}"#, "amount has more decimals than its currency"),
            (
                r#"{"login":7,"amount":1,"currency":"USD","process_now":2}"#,
                "process_now must be a whole number from 0 to 1",
            ),
            (r#"{"login":7,"amount":1,"currency":"USD","provider":"x"}"#, "provider is not a field of this request"),
        ];
        for (json, expected) in table {
            assert_eq!(read_as_text(json), format!("INVALID_DATA: {expected}"), "{json}");
        }
    }
}
