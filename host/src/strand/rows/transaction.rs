//! The table cashier_transaction. Its facts and refs are three columns of it: a row is always read and written whole.

use cashier_core::facts::Facts;
use cashier_core::ids::{ConfigId, CustomerId, Login, ManagerId, Seq, TransactionId};
use cashier_core::reason::{Reason, ReasonCode};
use cashier_core::status::{Source, TransactionStatus, TransactionType};
use cashier_core::transaction::{FirstAnswer, KeySpace, NextAction, Transaction};

use super::writer::{RowWriter, text};
use crate::ports::Fault;
use crate::strand::columns::{ColumnReader, Put, sql_fault};
use crate::strand::json;

pub(in crate::strand) const TABLE: &str = "cashier_transaction";

macro_rules! columns {
    () => {
        "id, customer_id, login, type, source, provider, method, asked_method, provider_payment_id, amount_minor, \
         currency, account_currency, status, reason_code, reason_detail, idempotency_key, comment, metadata_json, \
         approved_by, approved_time, processed_by, processed_time, reject_reason, created_time, updated_time, \
         config_id, brand, country, sandbox, reference, key_space, expires_time, refs, provider_facts, person_facts, \
         first_answer, next_action, refused_seq, version"
    };
}

const PUT: &str = concat!(
    "REPLACE INTO cashier_transaction (",
    columns!(),
    ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
);

/// The first id that is not below a number.
pub(in crate::strand) const FIRST_FROM: &str = "SELECT id FROM cashier_transaction WHERE id >= ? ORDER BY id LIMIT 1";

/// Rows of an id range, both ends included, in the order of their ids.
pub(in crate::strand) const READ_RANGE: &str =
    concat!("SELECT ", columns!(), " FROM cashier_transaction WHERE id BETWEEN ? AND ? ORDER BY id");

pub(super) fn put(writer: &mut RowWriter<'_>, row: &Transaction) -> Result<(), Fault> {
    writer.touch('t', row.id.0);
    let [refs, provider, persons] = &mut writer.scratch.json;
    refs.clear();
    provider.clear();
    persons.clear();
    json::write_refs(&row.refs, refs)
        .and_then(|()| json::write_provider_facts(&row.facts.provider, provider))
        .and_then(|()| json::write_person_facts(&row.facts.persons, persons))
        .map_err(|error| Fault::new(format!("{TABLE} {}: {error}", row.id)))?;
    let put = || {
        Put::prepare(writer.connection, PUT)?
            .id(row.id.0)
            .id(row.customer_id.0)
            .id(row.login.0)
            .number(row.kind.number())
            .number(row.source.number())
            .text(&row.provider)
            .text(&row.method)
            .text(&row.requested_method)
            .text(&row.provider_payment_id)
            .money(row.amount)
            .currency(row.account_currency)
            .number(row.status.number())
            .text(row.reason.code.name())
            .text(&row.reason.detail)
            .text(&row.idempotency_key)
            .text(&row.comment)
            .text(&row.metadata_json)
            .id(row.approved_by.0)
            .time(row.approved_time)
            .id(row.processed_by.0)
            .time(row.processed_time)
            .text(&row.reject_reason)
            .time(row.created_time)
            .time(row.updated_time)
            .id(row.config_id.0)
            .text(&row.brand)
            .text(&row.country)
            .flag(row.sandbox)
            .text(row.reference.as_str())
            .number(row.key_space.number())
            .time(row.expires_time)
            .text(text(refs)?)
            .text(text(provider)?)
            .text(text(persons)?)
            .number(row.first_answer.number())
            .number(row.next_action.number())
            .id(row.refused_seq.0)
            .int(i64::from(row.version))
            .run()
    };
    put().map_err(sql_fault(TABLE))
}

pub(in crate::strand) fn read(columns: &mut ColumnReader<'_, '_>) -> Result<Transaction, Fault> {
    Ok(Transaction {
        id: TransactionId(columns.id()?),
        customer_id: CustomerId(columns.id()?),
        login: Login(columns.id()?),
        kind: columns.number(TransactionType::from_number)?,
        source: columns.number(Source::from_number)?,
        provider: columns.text()?,
        method: columns.text()?,
        requested_method: columns.text()?,
        provider_payment_id: columns.text()?,
        amount: columns.money()?,
        account_currency: columns.currency()?,
        status: columns.number(TransactionStatus::from_number)?,
        reason: Reason { code: columns.name(ReasonCode::from_name)?, detail: columns.text()? },
        idempotency_key: columns.text()?,
        comment: columns.text()?,
        metadata_json: columns.text()?,
        approved_by: ManagerId(columns.id()?),
        approved_time: columns.time()?,
        processed_by: ManagerId(columns.id()?),
        processed_time: columns.time()?,
        reject_reason: columns.text()?,
        created_time: columns.time()?,
        updated_time: columns.time()?,
        config_id: ConfigId(columns.id()?),
        brand: columns.text()?,
        country: columns.text()?,
        sandbox: columns.flag()?,
        reference: columns.reference()?,
        key_space: columns.number(KeySpace::from_number)?,
        expires_time: columns.time()?,
        refs: columns.json(json::read_refs)?,
        facts: Facts {
            provider: columns.json(json::read_provider_facts)?,
            persons: columns.json(json::read_person_facts)?,
        },
        first_answer: columns.number(FirstAnswer::from_number)?,
        next_action: columns.number(NextAction::from_number)?,
        refused_seq: Seq(columns.id()?),
        version: columns.count()?,
    })
}
