//! Filters from texts: every name, operator, arity, value and limit is checked here, and each refusal quotes the rejected
//! text.

use super::like::{PATTERN_LENGTH_MAX, Pattern};
use super::model::{
    CONDITIONS_MAX, CSV_ROWS_MAX, Comparison, Condition, Constant, Direction, Field, Filter, Kind, LIMIT_DEFAULT,
    LIMIT_MAX, LIST_VALUES_MAX, OFFSET_MAX, Test, Values,
};
use crate::money;
use crate::refusal::Refusal;

/// The parameters that hold conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Clause {
    Where,
    WhereNot,
    WhereIn,
    WhereNotIn,
    WhereBetween,
    WhereNotBetween,
}

impl Clause {
    pub const ALL: &'static [Self] =
        &[Self::Where, Self::WhereNot, Self::WhereIn, Self::WhereNotIn, Self::WhereBetween, Self::WhereNotBetween];

    /// The wire name of the parameter.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Where => "where",
            Self::WhereNot => "whereNot",
            Self::WhereIn => "whereIn",
            Self::WhereNotIn => "whereNotIn",
            Self::WhereBetween => "whereBetween",
            Self::WhereNotBetween => "whereNotBetween",
        }
    }
}

/// Collects a filter part by part; each part is checked when it is added.
#[derive(Debug, Clone)]
pub struct FilterBuilder<F: 'static> {
    /// The fields that may be named.
    fields: &'static [F],
    conditions: Vec<Condition<F>>,
    /// Conditions of the host's own, which take no place of those that a request may have.
    own: usize,
    order: Vec<(F, Direction)>,
    listed: usize,
    limit: usize,
    offset: u64,
    /// Of the default order.
    direction: Direction,
}

impl<F: Field> Default for FilterBuilder<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Field> FilterBuilder<F> {
    pub fn new() -> Self {
        Self::of(F::ALL)
    }

    /// For a caller who may name these fields alone.
    pub fn of(fields: &'static [F]) -> Self {
        Self {
            fields,
            conditions: Vec::new(),
            own: 0,
            order: Vec::new(),
            listed: 0,
            limit: LIMIT_DEFAULT,
            offset: 0,
            direction: Direction::Descending,
        }
    }

    /// The default order is oldest first.
    #[must_use]
    pub fn oldest_first(self) -> Self {
        Self { direction: Direction::Ascending, ..self }
    }

    /// From here on the conditions are those of a request; those that are there already are the host's own.
    #[must_use]
    pub fn of_request(self) -> Self {
        Self { own: self.conditions.len(), ..self }
    }

    /// One element of `where` (`[field, op, value]`) or `whereNot` (`[field, value]`).
    pub fn flat(&mut self, clause: Clause, parts: &[impl AsRef<str>]) -> Result<(), Refusal> {
        let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
        match (clause, parts.as_slice()) {
            (Clause::Where, [field, op, value]) => self.compared(field, op, value),
            (Clause::WhereNot, [field, value]) => {
                let field = self.known_field(clause.name(), field)?;
                self.add(clause, field, true, Test::OneOf(values_of(field, &[value])?))
            }
            (Clause::Where, _) => Err(arity(clause, "[field, op, value]")),
            (Clause::WhereNot, _) => Err(arity(clause, "[field, value]")),
            (Clause::WhereIn | Clause::WhereNotIn, _) => Err(arity(clause, "[field, [value, …]]")),
            (Clause::WhereBetween | Clause::WhereNotBetween, _) => Err(arity(clause, "[field, [from, to]]")),
        }
    }

    /// One element of `whereIn`, `whereNotIn` (`[field, [value, …]]`), `whereBetween` or `whereNotBetween`
    /// (`[field, [from, to]]`).
    pub fn listed(&mut self, clause: Clause, field: &str, values: &[impl AsRef<str>]) -> Result<(), Refusal> {
        let values: Vec<&str> = values.iter().map(AsRef::as_ref).collect();
        let negated = match clause {
            Clause::Where | Clause::WhereNot => return self.flat(clause, &[field]),
            Clause::WhereIn | Clause::WhereBetween => false,
            Clause::WhereNotIn | Clause::WhereNotBetween => true,
        };
        let field = self.known_field(clause.name(), field)?;
        self.listed += values.len();
        if self.listed > LIST_VALUES_MAX {
            return Err(Refusal::invalid(format!("{}: more than {LIST_VALUES_MAX} list values", clause.name())));
        }
        let test = match (clause, values.as_slice()) {
            (Clause::WhereBetween | Clause::WhereNotBetween, [from, to]) => {
                Test::Between(constant_of(field, from)?, constant_of(field, to)?)
            }
            (Clause::WhereBetween | Clause::WhereNotBetween, _) => return Err(arity(clause, "[field, [from, to]]")),
            (Clause::Where | Clause::WhereNot | Clause::WhereIn | Clause::WhereNotIn, listed) => {
                Test::OneOf(values_of(field, listed)?)
            }
        };
        self.add(clause, field, negated, test)
    }

    /// One key of `orderBy`; the direction in any case.
    pub fn order_by(&mut self, field: &str, direction: &str) -> Result<(), Refusal> {
        let field = self.known_field("orderBy", field)?;
        let direction = if direction.eq_ignore_ascii_case("asc") {
            Direction::Ascending
        } else if direction.eq_ignore_ascii_case("desc") {
            Direction::Descending
        } else {
            return Err(Refusal::invalid(format!("orderBy: direction {} is neither asc nor desc", shown(direction))));
        };
        // The second mention of a field has no effect.
        if self.order.iter().all(|(named, _)| *named != field) {
            self.order.push((field, direction));
        }
        Ok(())
    }

    /// Rows of the page, 1 to [`LIMIT_MAX`].
    pub fn limit(&mut self, text: &str) -> Result<(), Refusal> {
        let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
        self.limit =
            limit.ok_or_else(|| Refusal::invalid(format!("limit {} is not within 1..{LIMIT_MAX}", shown(text))))?;
        Ok(())
    }

    /// Rows before the page.
    pub fn offset(&mut self, text: &str) -> Result<(), Refusal> {
        let offset = text.parse().ok().filter(|offset| *offset <= OFFSET_MAX);
        self.offset = offset.ok_or_else(|| Refusal::invalid(format!("offset {} is not a row number", shown(text))))?;
        Ok(())
    }

    /// The filter. Rows with equal keys are sorted by id in the direction of the last key.
    pub fn build(mut self) -> Filter<F> {
        if self.order.is_empty() {
            self.order.push((F::CREATED, self.direction));
        }
        match self.order.iter().position(|(field, _)| *field == F::ID) {
            Some(index) => self.order.truncate(index + 1),
            None => {
                let direction = self.order.last().map_or(Direction::Descending, |(_, last)| *last);
                self.order.push((F::ID, direction));
            }
        }
        Filter {
            conditions: self.conditions,
            order: self.order,
            limit: self.limit,
            offset: self.offset,
            is_counted: true,
        }
    }

    /// Checks how many rows an export asks for, all pages together.
    pub fn export_limit(text: &str) -> Result<(), Refusal> {
        let is_within = text.parse().is_ok_and(|rows: u64| (1..=CSV_ROWS_MAX).contains(&rows));
        is_within.then_some(()).ok_or_else(|| {
            Refusal::invalid(format!("limit: a CSV export has at most {CSV_ROWS_MAX} rows; go on behind the last id"))
        })
    }

    /// A page of an export: rows in the order of ids, from the first one or behind the last that was sent.
    pub fn export_page(mut self, rows: usize, behind: Option<u64>) -> Result<Filter<F>, Refusal> {
        self.begins_with_the_first()?;
        let direction = match self.order.as_slice() {
            [] => Direction::Descending,
            [(field, direction)] if *field == F::ID => *direction,
            [_, ..] => {
                let message = "orderBy: an export of more than 50000 rows is sorted by id, or by nothing";
                return Err(Refusal::invalid(message));
            }
        };
        let beyond = match direction {
            Direction::Ascending => Comparison::Greater,
            Direction::Descending => Comparison::Less,
        };
        self.order = vec![(F::ID, direction)];
        self.limit = rows;
        self.conditions.extend(behind.map(|id| {
            let last = Constant::Int(i64::try_from(id).unwrap_or(i64::MAX));
            Condition { field: F::ID, negated: false, test: Test::Compare(beyond, last) }
        }));
        Ok(self.build().uncounted())
    }

    /// An export of rows that have no id: as they are found, from the first one.
    pub fn export_as_found(self) -> Result<Filter<F>, Refusal> {
        self.begins_with_the_first()?;
        if !self.order.is_empty() {
            return Err(Refusal::invalid(
                "orderBy: an export of more than 50000 rows of this list has them as they are found; leave it out",
            ));
        }
        Ok(self.build().uncounted())
    }

    fn begins_with_the_first(&self) -> Result<(), Refusal> {
        if self.offset > 0 {
            let message = "offset: an export of more than 50000 rows begins with the first; name an id";
            return Err(Refusal::invalid(message));
        }
        Ok(())
    }

    fn compared(&mut self, field: &str, op: &str, value: &str) -> Result<(), Refusal> {
        let field = self.known_field("where", field)?;
        let compare = |comparison| Ok::<_, Refusal>(Test::Compare(comparison, constant_of(field, value)?));
        let (negated, test) = match op {
            "=" | "==" => (false, Test::OneOf(values_of(field, &[value])?)),
            "!=" => (true, Test::OneOf(values_of(field, &[value])?)),
            ">" => (false, compare(Comparison::Greater)?),
            ">=" => (false, compare(Comparison::GreaterOrEqual)?),
            "<" => (false, compare(Comparison::Less)?),
            "<=" => (false, compare(Comparison::LessOrEqual)?),
            "like" => (false, Test::Like(pattern_of(field, value)?)),
            unknown => return Err(Refusal::invalid(format!("where: operator {} is not known", shown(unknown)))),
        };
        self.add(Clause::Where, field, negated, test)
    }

    fn known_field(&self, parameter: &str, name: &str) -> Result<F, Refusal> {
        let known = self.fields.iter().copied().find(|field| field.name() == name);
        known.ok_or_else(|| Refusal::invalid(format!("{parameter}: field {} is not known", shown(name))))
    }

    fn add(&mut self, clause: Clause, field: F, negated: bool, test: Test) -> Result<(), Refusal> {
        if self.conditions.len() >= CONDITIONS_MAX + self.own {
            return Err(Refusal::invalid(format!("{}: more than {CONDITIONS_MAX} conditions", clause.name())));
        }
        self.conditions.push(Condition { field, negated, test });
        Ok(())
    }
}

fn arity(clause: Clause, form: &str) -> Refusal {
    Refusal::invalid(format!("{}: each element is {form}", clause.name()))
}

fn constant_of<F: Field>(field: F, text: &str) -> Result<Constant, Refusal> {
    match field.kind() {
        Kind::Text => Ok(Constant::Text(text.into())),
        Kind::Int => int_of(field, text).map(Constant::Int),
        Kind::Decimal => decimal_of(field, text).map(Constant::Decimal),
    }
}

fn values_of<F: Field>(field: F, texts: &[&str]) -> Result<Values, Refusal> {
    match field.kind() {
        Kind::Text => {
            let mut values: Vec<Box<str>> = texts.iter().map(|text| (*text).into()).collect();
            values.sort();
            values.dedup();
            Ok(Values::Texts(values))
        }
        Kind::Decimal => {
            let mut values = texts.iter().map(|text| decimal_of(field, text)).collect::<Result<Vec<i128>, _>>()?;
            values.sort_unstable();
            values.dedup();
            Ok(Values::Decimals(values))
        }
        Kind::Int => {
            let mut values = texts.iter().map(|text| int_of(field, text)).collect::<Result<Vec<i64>, _>>()?;
            values.sort_unstable();
            values.dedup();
            Ok(Values::Ints(values))
        }
    }
}

fn int_of<F: Field>(field: F, text: &str) -> Result<i64, Refusal> {
    let plain = text.strip_prefix('-').unwrap_or(text);
    let digits = !plain.is_empty() && plain.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { text.parse().ok() } else { None };
    number.ok_or_else(|| Refusal::invalid(format!("{}: {} is not a 64-bit integer", field.name(), shown(text))))
}

fn decimal_of<F: Field>(field: F, text: &str) -> Result<i128, Refusal> {
    money::parse_units(text).map_err(|error| Refusal::invalid(format!("{}: {} {error}", field.name(), shown(text))))
}

fn pattern_of<F: Field>(field: F, text: &str) -> Result<Pattern, Refusal> {
    match field.kind() {
        Kind::Int => Err(Refusal::invalid(format!("where: like does not apply to {}, an integer", field.name()))),
        Kind::Decimal => Err(Refusal::invalid(format!("where: like does not apply to {}, an amount", field.name()))),
        Kind::Text => Pattern::new(text).ok_or_else(|| {
            let name = field.name();
            Refusal::invalid(format!("{name}: a like pattern has at most {PATTERN_LENGTH_MAX} characters"))
        }),
    }
}

/// The text in quotes and escaped, cut to a length that fits a message.
fn shown(text: &str) -> String {
    const SHOWN_MAX: usize = 64;
    let cut: String = text.chars().take(SHOWN_MAX).collect();
    if cut.len() < text.len() { format!("{cut:?}…") } else { format!("{cut:?}") }
}

impl<F: Field> Default for Filter<F> {
    /// Every row, newest first, the first page.
    fn default() -> Self {
        FilterBuilder::new().build()
    }
}
