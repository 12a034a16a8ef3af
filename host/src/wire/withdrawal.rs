//! `POST /cashier/withdrawal` on the wire (API.md section 3): a request for a person to approve.

use cashier_core::ids::{CustomerId, Login};
use cashier_core::lengths::COMMENT_LENGTH_MAX;
use cashier_core::refusal::Refusal;
use cashier_core::transaction::Transaction;
use cashier_core::withdrawal::WithdrawalRequest;

use crate::wire::deposit::{idempotency_key, metadata_json};
use crate::wire::read::{Fields, missing};
use crate::wire::transaction::{self, View};
use crate::wire::write;

/// Reads the request of this customer.
pub fn read(json: &[u8], customer_id: CustomerId) -> Result<WithdrawalRequest, Refusal> {
    let mut fields = Fields::parse(json, "the body")?;
    let login = Login(fields.id_required("login")?);
    let currency = fields.currency("currency")?.ok_or_else(|| missing("currency"))?;
    let request = WithdrawalRequest {
        customer_id,
        login,
        method: fields.code("method")?.unwrap_or_default(),
        amount: fields.amount("amount", currency)?.ok_or_else(|| missing("amount"))?,
        idempotency_key: idempotency_key(&mut fields)?,
        comment: fields.text("comment", COMMENT_LENGTH_MAX)?.unwrap_or_default(),
        metadata_json: metadata_json(&mut fields)?,
    };
    fields.finish()?;
    Ok(request)
}

/// `{"transaction":{…}}`.
pub fn write(out: &mut Vec<u8>, transaction: &Transaction) {
    write::object(out, |fields| {
        fields.value("transaction", |out| transaction::write(out, transaction, View::Customer));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_withdrawal_reads_its_fields_and_names_what_is_wrong() {
        let said = |json: &str| {
            read(json.as_bytes(), CustomerId(5)).map_or_else(|refusal| refusal.to_string(), |read| format!("{read:?}"))
        };
        assert_eq!(
            said(r#"{"login":7,"amount":10.50,"currency":"USD","method":"bank","idempotency_key":"k"}"#),
            r#"WithdrawalRequest { customer_id: CustomerId(5), login: Login(7), method: "bank", amount: 10.5 USD, idempotency_key: "k", comment: "", metadata_json: "{}" }"#
        );
        assert_eq!(said(r#"{"login":7,"currency":"USD"}"#), "INVALID_DATA: amount is required");
        assert_eq!(
            said(r#"{"login":7,"amount":1,"currency":"USD","provider":"x"}"#),
            "INVALID_DATA: provider is not a field of this request"
        );
    }
}
