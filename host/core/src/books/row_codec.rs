//! A transaction with its operations as bytes, and back. Packing and unpacking list the fields in the same order, so that
//! a change of one shows beside the other.

use super::codec::{Reader, Writer};
use super::facts_codec::{read_facts, write_facts};
use super::hash_index::short_hash;
use super::interner::Interner;
use super::rows::{Chain, LARGE_AMOUNT, NO_SLOT, Row};
use crate::aggregate::Aggregate;
use crate::conversion::{Conversion, Ordered, Rate};
use crate::facts::Facts;
use crate::ids::{ConfigId, CustomerId, Login, ManagerId, OperationId, Reference, Seq, ServerName, TransactionId};
use crate::money::Money;
use crate::operation::BalanceOperation;
use crate::reason::{Reason, ReasonCode};
use crate::refs::{ProviderRef, Refs};
use crate::status::{OperationCmd, OperationReason, OperationStatus, Source, TransactionStatus, TransactionType};
use crate::time::UnixTime;
use crate::transaction::{FirstAnswer, KeySpace, NextAction, Transaction};

/// The packed numbers that filters read: they come first, so that nothing else has to be decoded for them.
pub(super) struct FrontNumbers {
    pub(super) stored_bytes: u32,
    pub(super) amount_minor: i64,
    pub(super) approved_time: i64,
    pub(super) processed_time: i64,
    pub(super) updated_time: i64,
    pub(super) expires_time: i64,
}

/// The packed texts that filters and indexes read, which come next.
pub(super) struct Front<'b> {
    pub(super) provider_payment_id: &'b str,
    pub(super) reference: &'b str,
    pub(super) idempotency_key: &'b str,
}

impl Row {
    pub(super) fn front(&self) -> Option<Front<'_>> {
        let mut reader = Reader::new(&self.packed);
        reader.fixed()?;
        (0..NUMBERS).try_for_each(|_| reader.skip_number())?;
        read_front(&mut reader)
    }

    pub(super) fn numbers(&self) -> Option<FrontNumbers> {
        read_numbers(&mut Reader::new(&self.packed), self.created_time)
    }

    /// The minor units of the amount; few rows are unpacked for it.
    pub(super) fn amount_minor(&self) -> i64 {
        match self.short_amount {
            LARGE_AMOUNT => self.numbers().map_or(0, |numbers| numbers.amount_minor),
            minor => minor.into(),
        }
    }

    /// The first packed field, without decoding any other.
    pub(super) fn stored_bytes(&self) -> u32 {
        Reader::new(&self.packed).fixed().unwrap_or_default()
    }
}

/// The bits of the byte of flags: a row without a conversion has no byte for it.
const IS_SANDBOX: u8 = 1;
const IS_CONVERTED: u8 = 2;

/// The variable-length numbers before the texts.
const NUMBERS: usize = 5;

fn read_numbers(reader: &mut Reader<'_>, created: i64) -> Option<FrontNumbers> {
    Some(FrontNumbers {
        stored_bytes: reader.fixed()?,
        amount_minor: reader.signed()?,
        approved_time: reader.moment(created)?,
        processed_time: reader.moment(created)?,
        updated_time: reader.moment(created)?,
        expires_time: reader.moment(created)?,
    })
}

fn read_front<'b>(reader: &mut Reader<'b>) -> Option<Front<'b>> {
    Some(Front { provider_payment_id: reader.text()?, reference: reader.text()?, idempotency_key: reader.text()? })
}

/// The row of a transaction and its operations, in no chain and touched by no commit.
pub(super) fn pack(transaction: &Transaction, operations: &[BalanceOperation], interner: &mut Interner) -> Row {
    Row {
        id: transaction.id.0,
        customer_id: transaction.customer_id.0,
        login: transaction.login.0,
        created_time: transaction.created_time.0,
        touched: 0,
        earlier: Chain { customer: NO_SLOT, login: NO_SLOT, provider: NO_SLOT },
        labels: interner.labels_number(
            &transaction.provider,
            &transaction.method,
            &transaction.brand,
            transaction.config_id.0,
        ),
        short_amount: u32::try_from(transaction.amount.minor).unwrap_or(LARGE_AMOUNT),
        key_hash: short_hash(&*transaction.idempotency_key),
        currency: interner.currency_number(transaction.amount.currency),
        kind: transaction.kind.number(),
        source: transaction.source.number(),
        status: transaction.status.number(),
        key_space: transaction.key_space.number(),
        reason: transaction.reason.code.number(),
        packed: pack_fields(transaction, operations, interner),
    }
}

fn pack_fields(transaction: &Transaction, operations: &[BalanceOperation], interner: &mut Interner) -> Box<[u8]> {
    let created = transaction.created_time.0;
    let mut w = Writer::new();
    w.fixed(transaction.stored_bytes);
    w.signed(transaction.amount.minor);
    w.moment(transaction.approved_time.0, created);
    w.moment(transaction.processed_time.0, created);
    w.moment(transaction.updated_time.0, created);
    w.moment(transaction.expires_time.0, created);
    w.text(&transaction.provider_payment_id);
    w.text(transaction.reference.as_str());
    w.text(&transaction.idempotency_key);

    w.number(interner.number(&transaction.requested_method).into());
    w.number(interner.currency_number(transaction.account_currency).into());
    w.text(&transaction.reason.detail);
    w.byte(transaction.has_texts.into());
    w.number(transaction.approved_by.0);
    w.number(transaction.processed_by.0);
    w.text(&transaction.reject_reason);
    w.number(interner.number(&transaction.country).into());
    w.byte(
        if transaction.sandbox { IS_SANDBOX } else { 0 }
            | if transaction.conversion.is_some() { IS_CONVERTED } else { 0 },
    );
    w.number(interner.number(transaction.server.as_str()).into());
    if let Some(conversion) = &transaction.conversion {
        write_conversion(&mut w, conversion, created);
    }
    w.number(transaction.refs.len() as u64);
    for id in transaction.refs.iter() {
        w.number(interner.number(&id.kind).into());
        w.text(&id.value);
    }
    write_facts(&mut w, &transaction.facts, created);
    w.byte(transaction.first_answer.number());
    w.byte(transaction.next_action.number());
    w.number(transaction.refused_seq.0);
    w.number(transaction.query_wanted.0);
    w.number(transaction.version.into());
    w.number(operations.len() as u64);
    for operation in operations {
        write_operation(&mut w, operation, transaction, interner);
    }
    w.into_bytes()
}

/// The transaction and operations of a row; `None` only if the bytes were not made by [`pack`] with this interner.
pub(super) fn unpack(row: &Row, interner: &Interner) -> Option<Aggregate> {
    let created = row.created_time;
    let labels = interner.labels(row.labels);
    let mut r = Reader::new(&row.packed);
    let numbers = read_numbers(&mut r, created)?;
    let front = read_front(&mut r)?;
    let requested_method = read_interned(&mut r, interner)?;
    let account_currency = *interner.currency(u16::try_from(r.number()?).ok()?)?;
    let reason = Reason { code: ReasonCode::from_number(row.reason)?, detail: r.text()?.into() };
    let has_texts = r.byte()? != 0;
    let (approved_by, processed_by) = (ManagerId(r.number()?), ManagerId(r.number()?));
    let reject_reason = r.text()?.into();
    let country = read_interned(&mut r, interner)?;
    let flags = r.byte()?;
    let server = ServerName::read(&read_interned(&mut r, interner)?)?;
    let conversion = read_conversion(&mut r, flags, created)?;
    let transaction = Transaction {
        id: TransactionId(row.id),
        customer_id: CustomerId(row.customer_id),
        login: Login(row.login),
        kind: TransactionType::from_number(row.kind.into())?,
        source: Source::from_number(row.source.into())?,
        provider: interner.text(labels.provider).into(),
        method: interner.text(labels.method).into(),
        provider_payment_id: front.provider_payment_id.into(),
        status: TransactionStatus::from_number(row.status.into())?,
        idempotency_key: front.idempotency_key.into(),
        stored_bytes: numbers.stored_bytes,
        approved_time: UnixTime(numbers.approved_time),
        processed_time: UnixTime(numbers.processed_time),
        created_time: UnixTime(created),
        brand: interner.text(labels.brand).into(),
        reference: Reference::read(front.reference)?,
        key_space: KeySpace::from_number(row.key_space.into())?,

        requested_method,
        amount: Money::new(numbers.amount_minor, *interner.currency(row.currency)?),
        account_currency,
        conversion: conversion.map(Box::new),
        reason,
        has_texts,
        approved_by,
        processed_by,
        reject_reason,
        updated_time: UnixTime(numbers.updated_time),
        config_id: ConfigId(labels.config),
        country,
        sandbox: flags & IS_SANDBOX != 0,
        server,
        expires_time: UnixTime(numbers.expires_time),
        refs: read_refs(&mut r, interner)?,
        facts: read_facts(&mut r, created)?,
        first_answer: FirstAnswer::from_number(r.byte()?.into())?,
        next_action: NextAction::from_number(r.byte()?.into())?,
        refused_seq: Seq(r.number()?),
        query_wanted: Seq(r.number()?),
        version: u32::try_from(r.number()?).ok()?,
    };
    let count = r.number()?;
    let operations = (0..count).map(|_| read_operation(&mut r, &transaction, interner)).collect::<Option<Vec<_>>>()?;
    Some(Aggregate { transaction, operations })
}

/// The order and the facts of a row alone, for searches that look at many rows. The other fields are skipped as [`unpack`] reads
/// them.
pub(super) fn unpack_facts(row: &Row, interner: &Interner) -> Option<(Ordered, Facts)> {
    let mut r = Reader::new(&row.packed);
    r.fixed()?;
    (0..NUMBERS).try_for_each(|_| r.skip_number())?;
    read_front(&mut r)?;
    r.skip_number()?;
    let account_currency = *interner.currency(u16::try_from(r.number()?).ok()?)?;
    r.text()?;
    r.byte()?;
    (0..2).try_for_each(|_| r.skip_number())?;
    r.text()?;
    r.skip_number()?;
    let flags = r.byte()?;
    r.skip_number()?;
    let conversion = read_conversion(&mut r, flags, row.created_time)?;
    let amount = Money::new(row.amount_minor(), *interner.currency(row.currency)?);
    let refs = r.number()?;
    (0..refs).try_for_each(|_| r.skip_number().and_then(|()| r.text().map(drop)))?;
    let facts = read_facts(&mut r, row.created_time)?;
    Some((Ordered::new(amount, account_currency, conversion.as_ref()), facts))
}

fn write_conversion(w: &mut Writer, conversion: &Conversion, created: i64) {
    let (mantissa, decimals) = conversion.rate.parts();
    w.number(mantissa);
    w.byte(decimals);
    w.moment(conversion.time.0, created);
    // Not interned: how many sources there are is not ours to say.
    w.text(&conversion.source);
}

fn read_conversion(r: &mut Reader<'_>, flags: u8, created: i64) -> Option<Option<Conversion>> {
    if flags & IS_CONVERTED == 0 {
        return Some(None);
    }
    let rate = Rate::of(r.number()?, r.byte()?)?;
    Some(Some(Conversion { rate, time: UnixTime(r.moment(created)?), source: r.text()?.into() }))
}

fn write_operation(w: &mut Writer, operation: &BalanceOperation, of: &Transaction, interner: &mut Interner) {
    w.number(operation.id.0);
    w.number(operation.ordinal.into());
    w.signed(operation.login.0.wrapping_sub(of.login.0) as i64);
    w.number(operation.trade_order);
    w.number(operation.request_order);
    w.byte(operation.cmd.number());
    w.signed(operation.amount.minor);
    w.number(interner.currency_number(operation.amount.currency).into());
    w.byte(operation.reason.number());
    w.byte(operation.status.number());
    w.text(&operation.failure_reason);
    w.moment(operation.created_time.0, of.created_time.0);
    w.moment(operation.updated_time.0, of.created_time.0);
}

fn read_operation(r: &mut Reader<'_>, of: &Transaction, interner: &Interner) -> Option<BalanceOperation> {
    Some(BalanceOperation {
        id: OperationId(r.number()?),
        transaction_id: of.id,
        ordinal: u32::try_from(r.number()?).ok()?,
        login: Login(of.login.0.wrapping_add(r.signed()? as u64)),
        trade_order: r.number()?,
        request_order: r.number()?,
        cmd: OperationCmd::from_number(r.byte()?.into())?,
        amount: Money::new(r.signed()?, *interner.currency(u16::try_from(r.number()?).ok()?)?),
        reason: OperationReason::from_number(r.byte()?.into())?,
        status: OperationStatus::from_number(r.byte()?.into())?,
        failure_reason: r.text()?.into(),
        created_time: UnixTime(r.moment(of.created_time.0)?),
        updated_time: UnixTime(r.moment(of.created_time.0)?),
    })
}

fn read_refs(r: &mut Reader<'_>, interner: &Interner) -> Option<Refs> {
    let count = r.number()?;
    (0..count).map(|_| Some(ProviderRef { kind: read_interned(r, interner)?, value: r.text()?.into() })).collect()
}

fn read_interned(r: &mut Reader<'_>, interner: &Interner) -> Option<Box<str>> {
    Some(interner.text(u32::try_from(r.number()?).ok()?).into())
}
