//! A filter: typed conditions over the fields of one table, an order and a page. `build` reads one from texts.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::like::Pattern;

/// Conditions in one filter; more than a person writes (API.md section 6).
pub const CONDITIONS_MAX: usize = 32;
/// Values in all lists of one filter together (API.md section 6).
pub const LIST_VALUES_MAX: usize = 1000;
/// Rows of a page unless requested otherwise.
pub const LIMIT_DEFAULT: usize = 100;
/// Rows of the largest page (API.md sections 3 and 4).
pub const LIMIT_MAX: usize = 50_000;
/// Rows of one export as CSV: what a spreadsheet or a script takes at once. Go on behind the last id (docs/api/conventions.md).
pub const CSV_ROWS_MAX: u64 = 5_000_000;
/// The largest offset; ids stay below it, so no table has more rows.
pub const OFFSET_MAX: u64 = crate::ids::ID_MAX;

/// The type by which a field's text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Int,
    Text,
    /// An exact amount; amounts of different currencies compare by their value.
    Decimal,
}

/// The fields of one table that a filter may name.
pub trait Field: Copy + Eq + std::fmt::Debug + 'static {
    const ALL: &'static [Self];
    /// The last key of every order; unique.
    const ID: Self;
    /// The first key of the default order, newest first.
    const CREATED: Self;

    /// The wire name.
    fn name(self) -> &'static str;
    fn kind(self) -> Kind;
}

/// A field's value in one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FilterValue<'r> {
    Int(i64),
    Text(&'r str),
    /// Multiples of 10^-8.
    Decimal(i128),
}

impl FilterValue<'_> {
    /// Ids stay below 2^53, so every one of them is an `i64`.
    pub fn id(id: u64) -> Self {
        Self::Int(i64::try_from(id).unwrap_or(i64::MAX))
    }
}

/// A row that gives its values of a table's fields.
pub trait FilterRow<F: Field> {
    fn value(&self, field: F) -> FilterValue<'_>;
}

/// Values of one type, sorted and without repetition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Values {
    Ints(Vec<i64>),
    Texts(Vec<Box<str>>),
    Decimals(Vec<i128>),
}

/// A constant of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Constant {
    Int(i64),
    Text(Box<str>),
    Decimal(i128),
}

impl Constant {
    pub fn as_value(&self) -> FilterValue<'_> {
        match self {
            Self::Int(number) => FilterValue::Int(*number),
            Self::Text(text) => FilterValue::Text(text),
            Self::Decimal(units) => FilterValue::Decimal(*units),
        }
    }
}

/// The operators that order values; equality is [`Test::OneOf`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    OneOf(Values),
    Compare(Comparison, Constant),
    /// Inclusive at both ends; empty where from is beyond to.
    Between(Constant, Constant),
    Like(Pattern),
}

/// One condition on one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition<F> {
    pub field: F,
    pub negated: bool,
    pub test: Test,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Ascending,
    Descending,
}

/// A checked filter: every condition must hold, rows in a total order, one page of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter<F> {
    pub(super) conditions: Vec<Condition<F>>,
    pub(super) order: Vec<(F, Direction)>,
    pub(super) limit: usize,
    pub(super) offset: u64,
    pub(super) is_counted: bool,
}

/// One page of the matching rows and how many match in all; 0 where the filter is not counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowPage<R> {
    pub rows: Vec<R>,
    pub count: u64,
}

impl<F: Field> Filter<F> {
    pub fn conditions(&self) -> &[Condition<F>] {
        &self.conditions
    }

    /// The sort keys, the last of which is the id, so that the order is total.
    pub fn order(&self) -> &[(F, Direction)] {
        &self.order
    }

    pub fn limit(&self) -> usize {
        self.limit
    }

    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether the order is `created_time desc, id desc`.
    pub fn is_newest_first(&self) -> bool {
        self.order == [(F::CREATED, Direction::Descending), (F::ID, Direction::Descending)]
    }

    /// The same rows for a reader who does not want to know how many match in all: the search ends with the page.
    #[must_use]
    pub fn uncounted(self) -> Self {
        Self { is_counted: false, ..self }
    }

    /// Whether the answer says how many rows match; where not, its count is 0.
    pub fn is_counted(&self) -> bool {
        self.is_counted
    }

    /// The direction, where rows are in the order of their ids.
    pub fn by_id(&self) -> Option<Direction> {
        self.order.first().filter(|(field, _)| *field == F::ID).map(|(_, direction)| *direction)
    }

    /// Whether it is for a page behind another one, as an export asks for them: the rows beyond an id, in the order of ids. They
    /// are searched from there in that order, whatever else is asked, so that all pages together visit each row once.
    pub fn goes_on(&self) -> bool {
        let is_beyond = |known: &Condition<F>| known.field == F::ID && matches!(known.test, Test::Compare(..));
        !self.is_counted && self.by_id().is_some() && self.conditions.iter().any(is_beyond)
    }

    /// The least and the greatest value of an integer field that the conditions leave.
    pub fn bounds(&self, field: F) -> (i64, i64) {
        let (mut from, mut to) = (i64::MIN, i64::MAX);
        for condition in self.conditions.iter().filter(|known| !known.negated && known.field == field) {
            let (least, most) = condition.test.bounds();
            from = from.max(least);
            to = to.min(most);
        }
        (from, to)
    }

    pub fn matches(&self, row: &impl FilterRow<F>) -> bool {
        self.conditions.iter().all(|condition| condition.holds(row.value(condition.field)))
    }

    /// The filter's order; only a row compared to itself is equal.
    pub fn compare(&self, left: &impl FilterRow<F>, right: &impl FilterRow<F>) -> Ordering {
        let keys = self.order.iter().map(|(field, direction)| {
            let ascending = left.value(*field).cmp(&right.value(*field));
            match direction {
                Direction::Ascending => ascending,
                Direction::Descending => ascending.reverse(),
            }
        });
        keys.fold(Ordering::Equal, Ordering::then)
    }

    /// The values of which a field must have one, if a condition requires it. Of several such conditions the shortest list.
    pub fn pinned(&self, field: F) -> Option<&Values> {
        let pinning = self.conditions.iter().filter_map(|condition| match &condition.test {
            Test::OneOf(values) if condition.field == field && !condition.negated => Some(values),
            Test::OneOf(_) | Test::Compare(..) | Test::Between(..) | Test::Like(_) => None,
        });
        pinning.min_by_key(|values| values.len())
    }

    /// Filters, sorts and pages rows in memory.
    pub fn page<R: FilterRow<F>>(&self, rows: impl IntoIterator<Item = R>) -> RowPage<R> {
        let mut matching: Vec<R> = rows.into_iter().filter(|row| self.matches(row)).collect();
        matching.sort_by(|left, right| self.compare(left, right));
        let count = if self.is_counted { u64::try_from(matching.len()).unwrap_or(u64::MAX) } else { 0 };
        let skip = usize::try_from(self.offset).unwrap_or(usize::MAX);
        RowPage { rows: matching.into_iter().skip(skip).take(self.limit).collect(), count }
    }
}

impl<F> Condition<F> {
    /// Whether a row with this value of the field passes.
    pub fn holds(&self, value: FilterValue<'_>) -> bool {
        self.test.holds(value) != self.negated
    }
}

impl Test {
    /// The least and the greatest integer that passes.
    fn bounds(&self) -> (i64, i64) {
        match self {
            Self::Compare(Comparison::Greater, Constant::Int(number)) => (number.saturating_add(1), i64::MAX),
            Self::Compare(Comparison::GreaterOrEqual, Constant::Int(number)) => (*number, i64::MAX),
            Self::Compare(Comparison::Less, Constant::Int(number)) => (i64::MIN, number.saturating_sub(1)),
            Self::Compare(Comparison::LessOrEqual, Constant::Int(number)) => (i64::MIN, *number),
            Self::Between(Constant::Int(least), Constant::Int(most)) => (*least, *most),
            Self::OneOf(Values::Ints(numbers)) => match (numbers.first(), numbers.last()) {
                (Some(first), Some(last)) => (*first, *last),
                _ => (i64::MIN, i64::MAX),
            },
            Self::Compare(_, Constant::Text(_) | Constant::Decimal(_))
            | Self::Between(..)
            | Self::OneOf(Values::Texts(_) | Values::Decimals(_))
            | Self::Like(_) => (i64::MIN, i64::MAX),
        }
    }

    fn holds(&self, value: FilterValue<'_>) -> bool {
        match self {
            Self::OneOf(values) => values.contains(value),
            Self::Compare(comparison, constant) => {
                let order = value.cmp(&constant.as_value());
                match comparison {
                    Comparison::Less => order.is_lt(),
                    Comparison::LessOrEqual => order.is_le(),
                    Comparison::Greater => order.is_gt(),
                    Comparison::GreaterOrEqual => order.is_ge(),
                }
            }
            Self::Between(from, to) => from.as_value() <= value && value <= to.as_value(),
            Self::Like(pattern) => match value {
                FilterValue::Text(text) => pattern.matches(text),
                FilterValue::Int(_) | FilterValue::Decimal(_) => false,
            },
        }
    }
}

impl Values {
    pub fn len(&self) -> usize {
        match self {
            Self::Ints(numbers) => numbers.len(),
            Self::Texts(texts) => texts.len(),
            Self::Decimals(numbers) => numbers.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn contains(&self, value: FilterValue<'_>) -> bool {
        match (self, value) {
            (Self::Ints(numbers), FilterValue::Int(number)) => numbers.binary_search(&number).is_ok(),
            (Self::Texts(texts), FilterValue::Text(text)) => {
                texts.binary_search_by(|known| (**known).cmp(text)).is_ok()
            }
            (Self::Decimals(numbers), FilterValue::Decimal(number)) => numbers.binary_search(&number).is_ok(),
            (Self::Ints(_), FilterValue::Text(_) | FilterValue::Decimal(_))
            | (Self::Texts(_), FilterValue::Int(_) | FilterValue::Decimal(_))
            | (Self::Decimals(_), FilterValue::Int(_) | FilterValue::Text(_)) => false,
        }
    }
}

impl<F: Field, R: FilterRow<F>> FilterRow<F> for &R {
    fn value(&self, field: F) -> FilterValue<'_> {
        (**self).value(field)
    }
}

impl<F: Field, R: FilterRow<F> + Clone> FilterRow<F> for Cow<'_, R> {
    fn value(&self, field: F) -> FilterValue<'_> {
        (**self).value(field)
    }
}
