//! A packed row as filters read it, and the bounds of creation time that a filter implies.

use super::Books;
use super::rows::Row;
use crate::filter::{self, Comparison, Constant, Filter, FilterValue, Test, TransactionField, Values};
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
                let money = |currency: &Currency| Some(Money::new(row.numbers()?.amount_minor, *currency).units());
                FilterValue::Decimal(interner.currency(row.currency).and_then(money).unwrap_or_default())
            }
            F::Brand => FilterValue::Text(interner.text(interner.labels(row.labels).brand)),
            F::ProviderConfigId => FilterValue::id(interner.labels(row.labels).config),
            F::IdempotencyKey => FilterValue::Text(row.front().map_or("", |front| front.idempotency_key)),
            F::FailureReason => FilterValue::Text(ReasonCode::from_number(row.reason).unwrap_or_default().name()),
            F::UpdatedTime => FilterValue::Int(row.numbers().map_or(0, |numbers| numbers.updated_time)),
            F::ExpiresTime => FilterValue::Int(row.numbers().map_or(0, |numbers| numbers.expires_time)),
        }
    }
}

/// The least and the greatest creation time of matching rows.
pub(super) fn created_bounds(filter: &Filter<TransactionField>) -> (i64, i64) {
    let (mut from, mut to) = (i64::MIN, i64::MAX);
    for condition in filter.conditions() {
        if condition.negated || condition.field != TransactionField::CreatedTime {
            continue;
        }
        let (least, most) = match &condition.test {
            Test::Compare(Comparison::Greater, Constant::Int(time)) => (time.saturating_add(1), i64::MAX),
            Test::Compare(Comparison::GreaterOrEqual, Constant::Int(time)) => (*time, i64::MAX),
            Test::Compare(Comparison::Less, Constant::Int(time)) => (i64::MIN, time.saturating_sub(1)),
            Test::Compare(Comparison::LessOrEqual, Constant::Int(time)) => (i64::MIN, *time),
            Test::Between(Constant::Int(least), Constant::Int(most)) => (*least, *most),
            Test::OneOf(Values::Ints(times)) => match (times.first(), times.last()) {
                (Some(first), Some(last)) => (*first, *last),
                _ => (i64::MIN, i64::MAX),
            },
            Test::Compare(_, Constant::Text(_) | Constant::Decimal(_))
            | Test::Between(..)
            | Test::OneOf(Values::Texts(_) | Values::Decimals(_))
            | Test::Like(_) => (i64::MIN, i64::MAX),
        };
        from = from.max(least);
        to = to.min(most);
    }
    (from, to)
}
