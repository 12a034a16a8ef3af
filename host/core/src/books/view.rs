//! A packed row as filters read it, and what a filter demands of its fixed part.

use std::sync::Arc;

use super::Books;
use super::hash_index::short_hash;
use super::rows::Row;
use crate::filter::{self, Filter, FilterValue, TransactionField, Values};
use crate::money::{Currency, Money};
use crate::reason::ReasonCode;

/// A packed row as filters read it.
#[derive(Clone, Copy)]
pub(super) struct View<'b> {
    pub(super) books: &'b Books,
    pub(super) row: &'b Row,
}

impl filter::FilterRow<TransactionField> for View<'_> {
    fn value(&self, field: TransactionField) -> FilterValue<'_> {
        use TransactionField as F;
        let (interner, row) = (&self.books.interner, self.row);
        match field {
            F::Id => FilterValue::id(row.id),
            F::CustomerId => FilterValue::id(row.customer_id),
            F::Login => FilterValue::id(row.login),
            F::Type => FilterValue::Int(row.kind.into()),
            F::Status => FilterValue::Int(row.status.into()),
            F::Source => FilterValue::Int(row.source.into()),
            F::Provider => FilterValue::Text(interner.text(interner.labels(row.labels).provider)),
            F::Method => FilterValue::Text(interner.text(interner.labels(row.labels).method)),
            F::Currency => FilterValue::Text(interner.currency(row.currency).map_or("", |currency| currency.code())),
            F::ProviderPaymentId => FilterValue::Text(row.front().map_or("", |front| front.provider_payment_id)),
            F::ApprovedTime => FilterValue::Int(row.numbers().map_or(0, |numbers| numbers.approved_time)),
            F::ProcessedTime => FilterValue::Int(row.numbers().map_or(0, |numbers| numbers.processed_time)),
            F::CreatedTime => FilterValue::Int(row.created_time),
            F::Reference => FilterValue::Text(row.front().map_or("", |front| front.reference)),
            F::Amount => {
                let money = |currency: &Currency| Money::new(row.amount_minor(), *currency).units();
                FilterValue::Decimal(interner.currency(row.currency).map(money).unwrap_or_default())
            }
            F::Brand => FilterValue::Text(interner.text(interner.labels(row.labels).brand)),
            F::ProviderConfigId => FilterValue::id(interner.labels(row.labels).config),
            F::IdempotencyKey => FilterValue::Text(row.front().map_or("", |front| front.idempotency_key)),
            F::FailureReason => reason(row.reason),
            F::UpdatedTime => FilterValue::Int(row.numbers().map_or(0, |numbers| numbers.updated_time)),
            F::ExpiresTime => FilterValue::Int(row.numbers().map_or(0, |numbers| numbers.expires_time)),
        }
    }
}

/// What a filter demands of the fixed part of a row: a row that fails it is passed over, and none of its texts is unpacked or
/// compared. Rows that pass are judged by the whole filter.
#[derive(Debug, Clone)]
pub(super) struct Screen {
    /// The hashes of the idempotency keys of which a matching row has one; sorted.
    keys: Option<Arc<[u32]>>,
    /// By the number of a reason, whether its name fulfils the conditions.
    reasons: Option<Arc<[bool]>>,
}

impl Screen {
    pub(super) fn of(filter: &Filter<TransactionField>) -> Self {
        let keys = match filter.pinned(TransactionField::IdempotencyKey) {
            Some(Values::Texts(keys)) => {
                let mut hashes: Vec<u32> = keys.iter().map(|key| short_hash(&**key)).collect();
                hashes.sort_unstable();
                Some(hashes.into())
            }
            Some(Values::Ints(_) | Values::Decimals(_)) | None => None,
        };
        let about_reason = || filter.conditions().iter().filter(|known| known.field == TransactionField::FailureReason);
        let holds = |number| about_reason().all(|condition| condition.holds(reason(number)));
        let reasons = about_reason().next().map(|_| (0..=u8::MAX).map(holds).collect());
        Self { keys, reasons }
    }

    pub(super) fn passes(&self, row: &Row) -> bool {
        self.keys.as_ref().is_none_or(|hashes| hashes.binary_search(&row.key_hash).is_ok())
            && self.reasons.as_ref().is_none_or(|fulfils| fulfils.get(usize::from(row.reason)) == Some(&true))
    }
}

fn reason(number: u8) -> FilterValue<'static> {
    FilterValue::Text(ReasonCode::from_number(number).unwrap_or_default().name())
}
