//! `POST /cashier/withdrawal` on the wire (API.md section 3): a request for a person to approve.

use cashier_core::ids::{CustomerId, Login};
use cashier_core::lengths::{CODE_LENGTH_MAX, IDEMPOTENCY_KEY_LENGTH_MAX};
use cashier_core::refusal::Refusal;
use cashier_core::texts::Texts;
use cashier_core::transaction::Transaction;
use cashier_core::withdrawal::WithdrawalRequest;

use crate::json_object::{answer, request};
use crate::wire::deposit::{or_empty, or_empty_object, text_of};
use crate::wire::read::read as read_request;
use crate::wire::transaction::{Audience, TransactionRecord};
use crate::wire::values::{Code, CurrencyCode, DecimalText, LoginId, Metadata, OrderComment};

request! {
    /// A withdrawal as its customer asks for it.
    pub struct WithdrawalBody {
        login: LoginId, "trading account to debit, owned by the customer";
        amount: DecimalText, "amount, a plain decimal with no more decimals than the currency has";
        currency: CurrencyCode, "currency of the amount, which is the account's";
        method: Option<Code<CODE_LENGTH_MAX>>, "how the customer wants to be paid";
        idempotency_key: Option<Code<IDEMPOTENCY_KEY_LENGTH_MAX>>, "the order is made once under it; empty is none";
        comment: Option<OrderComment>, "comment";
        metadata_json: Option<Metadata>, "metadata of the client's: a JSON object as a string";
    }
}

request! {
    /// What a customer sends to take a withdrawal request back: nothing.
    pub struct CancelBody {}
}

answer! {
    /// A withdrawal that was recorded.
    pub struct WithdrawalAnswer<'a>(row: &'a Transaction, texts: &'a Texts) {
        transaction: TransactionRecord<'a> = TransactionRecord::new(row, texts, Audience::Customer), "the transaction";
    }
}

/// Reads the body of a cancellation, which may be empty.
pub fn read_cancel(json: &[u8]) -> Result<(), Refusal> {
    if json.is_empty() {
        return Ok(());
    }
    read_request::<CancelBody>(json, "the body").map(|_| ())
}

/// Reads the request of this customer.
pub fn read(json: &[u8], customer_id: CustomerId) -> Result<WithdrawalRequest, Refusal> {
    let body: WithdrawalBody = read_request(json, "the body")?;
    let mut refused_if_new = None;
    let comment = text_of("comment", body.comment.map(Into::into), &mut refused_if_new);
    let metadata = text_of("metadata_json", body.metadata_json.map(Into::into), &mut refused_if_new);
    Ok(WithdrawalRequest {
        customer_id,
        login: Login(body.login.0),
        method: or_empty(body.method),
        amount: body.amount.of("amount", body.currency.0)?,
        idempotency_key: or_empty(body.idempotency_key),
        comment,
        metadata_json: or_empty_object(metadata),
        refused_if_new,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_withdrawal_is_read_and_a_wrong_field_is_named() {
        let read_as_text = |json: &str| {
            read(json.as_bytes(), CustomerId(5)).map_or_else(|refusal| refusal.to_string(), |read| format!("{read:?}"))
        };
        assert_eq!(
            read_as_text(r#"{"login":7,"amount":10.50,"currency":"USD","method":"bank","idempotency_key":"k"}"#),
            r#"WithdrawalRequest { customer_id: CustomerId(5), login: Login(7), method: "bank", amount: 10.5 USD, idempotency_key: "k", comment: "", metadata_json: "{}", refused_if_new: None }"#
        );
        assert_eq!(read_as_text(r#"{"login":7,"currency":"USD"}"#), "INVALID_DATA: amount is required");
        assert_eq!(
            read_as_text(r#"{"login":7,"amount":1,"currency":"USD","provider":"x"}"#),
            "INVALID_DATA: provider is not a field of this request"
        );
    }
}
