//! A filter of the core as SQL over one table: the same rows in the same order as `Filter::page` finds in memory. Every constant
//! is a parameter. It knows no table; the caller names the column of each field.

use std::sync::Arc;

use cashier_core::filter::{
    Comparison, Condition, Constant, Direction, Field, Filter, FilterValue, Pattern, Test, Values,
};
use rusqlite::functions::FunctionFlags;
use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, Error, ToSql};

use super::columns::sql_fault;
use crate::ports::Fault;

/// The function that matches a text with a pattern; SQLite's own LIKE takes upper and lower case for the same.
const MATCHES: &str = "matches_pattern";

/// The last character there is: no text is between a prefix that ends with it and the next one.
const LAST_CHARACTER: char = char::MAX;

/// A constant of a filter, as it is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Parameter {
    Int(i64),
    Text(Box<str>),
}

impl ToSql for Parameter {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>, Error> {
        match self {
            Self::Int(number) => number.to_sql(),
            Self::Text(text) => text.to_sql(),
        }
    }
}

impl From<&Constant> for Parameter {
    fn from(constant: &Constant) -> Self {
        match constant {
            Constant::Int(number) => Self::Int(*number),
            Constant::Text(text) => Self::Text(text.clone()),
            Constant::Decimal(units) => units_of(*units),
        }
    }
}

/// An amount in multiples of 10^-8. No table that is read so has a column of amounts: a larger one than fits equals none.
fn units_of(units: i128) -> Parameter {
    Parameter::Int(i64::try_from(units).unwrap_or(i64::MAX))
}

/// Gives a connection the function that conditions may use.
pub(super) fn prepare(connection: &Connection) -> Result<(), Fault> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    let made = connection.create_scalar_function(MATCHES, 2, flags, |context| {
        // Compiled once for each run of a statement.
        let pattern: Arc<Pattern> = context.get_or_create_aux(1, |text| -> Result<Pattern, Error> {
            Pattern::new(text.as_str()?).ok_or(Error::InvalidParameterName("the pattern is too long".to_owned()))
        })?;
        Ok(context.get_raw(0).as_str().is_ok_and(|text| pattern.matches(text)))
    });
    made.map_err(sql_fault("preparing for filters"))
}

/// A table as a filter reads it.
pub(super) struct FieldColumns<F> {
    /// A field's column, or a constant that all rows of the table have.
    pub(super) name: fn(F) -> &'static str,
    /// The value by which most rows are left out of an index on this column (`… WHERE column <> value`), if there is such an index.
    pub(super) usual: fn(F) -> Option<FilterValue<'static>>,
}

/// The conditions for a WHERE clause, `TRUE` where there are none; their constants are added to `parameters` in the order of
/// their marks.
pub(super) fn conditions<F: Field>(
    filter: &Filter<F>,
    columns: &FieldColumns<F>,
    parameters: &mut Vec<Parameter>,
) -> String {
    conditions_on(filter, columns, |_| true, parameters)
}

/// Those of the conditions that are on some of the fields.
pub(super) fn conditions_on<F: Field>(
    filter: &Filter<F>,
    columns: &FieldColumns<F>,
    is_meant: impl Fn(F) -> bool,
    parameters: &mut Vec<Parameter>,
) -> String {
    let meant = filter.conditions().iter().filter(|known| is_meant(known.field));
    let written: Vec<String> = meant
        .map(|known| {
            let Condition { field, negated, test } = known;
            let name = (columns.name)(*field);
            // Of a page that goes on behind an id, no other index is used: SQLite takes none of a column with a sign.
            let sign = if filter.goes_on() && *field != F::ID { "+" } else { "" };
            let text = condition(&format!("{sign}{name}"), test, *negated, parameters);
            let text = if *negated { format!("NOT ({text})") } else { text };
            match (columns.usual)(*field) {
                // An index without the usual rows serves a statement that itself says, as the index does, that it wants none of them.
                Some(usual) if sign.is_empty() && !known.holds(usual) => {
                    format!("{name} <> {} AND {text}", literal(usual))
                }
                Some(_) | None => text,
            }
        })
        .collect();
    if written.is_empty() { "TRUE".to_owned() } else { written.join(" AND ") }
}

/// A value as a schema file writes it.
fn literal(value: FilterValue<'_>) -> String {
    match value {
        FilterValue::Int(number) => number.to_string(),
        FilterValue::Decimal(units) => units.to_string(),
        FilterValue::Text(text) => format!("'{}'", text.replace('\'', "''")),
    }
}

/// The sort keys for an ORDER BY clause; the last one is the id, so that the order is total.
pub(super) fn order<F: Field>(filter: &Filter<F>, columns: &FieldColumns<F>) -> String {
    let column = columns.name;
    let keys = filter.order().iter().map(|(field, direction)| match direction {
        Direction::Ascending => column(*field).to_owned(),
        Direction::Descending => format!("{} DESC", column(*field)),
    });
    keys.collect::<Vec<_>>().join(", ")
}

/// `LIMIT ? OFFSET ?` with its constants.
pub(super) fn page<F: Field>(filter: &Filter<F>, parameters: &mut Vec<Parameter>) -> &'static str {
    let number = |value: u64| Parameter::Int(i64::try_from(value).unwrap_or(i64::MAX));
    parameters.extend([number(filter.limit() as u64), number(filter.offset())]);
    "LIMIT ? OFFSET ?"
}

fn condition(column: &str, test: &Test, negated: bool, parameters: &mut Vec<Parameter>) -> String {
    let mut bind = |parameter: Parameter| parameters.push(parameter);
    match test {
        Test::OneOf(values) => {
            let count = values.len();
            match values {
                Values::Ints(numbers) => numbers.iter().for_each(|number| bind(Parameter::Int(*number))),
                Values::Texts(texts) => texts.iter().for_each(|text| bind(Parameter::Text(text.clone()))),
                Values::Decimals(numbers) => numbers.iter().for_each(|units| bind(units_of(*units))),
            }
            match count {
                0 => "FALSE".to_owned(),
                1 => format!("{column} = ?"),
                _ => format!("{column} IN ({})", vec!["?"; count].join(",")),
            }
        }
        Test::Compare(comparison, constant) => {
            bind(constant.into());
            let operator = match comparison {
                Comparison::Less => "<",
                Comparison::LessOrEqual => "<=",
                Comparison::Greater => ">",
                Comparison::GreaterOrEqual => ">=",
            };
            format!("{column} {operator} ?")
        }
        Test::Between(from, to) => {
            bind(from.into());
            bind(to.into());
            format!("{column} BETWEEN ? AND ?")
        }
        Test::Like(pattern) => {
            let text = pattern.text();
            let mut written = String::new();
            // What the texts begin with is a range of them: an index finds it, and where there is none, the pattern is not asked
            // about the rows outside, which takes a microsecond each.
            let prefix: String = text.chars().take_while(|character| !matches!(character, '%' | '_')).collect();
            if !negated && !prefix.is_empty() {
                let end = after(&prefix);
                bind(Parameter::Text(prefix.into()));
                written += &format!("{column} >= ? AND ");
                if let Some(end) = end {
                    bind(Parameter::Text(end.into()));
                    written += &format!("{column} < ? AND ");
                }
            }
            bind(Parameter::Text(text.into()));
            written + &format!("{MATCHES}({column}, ?)")
        }
    }
}

/// The first text after all that begin with this one; `None` where there is none.
fn after(prefix: &str) -> Option<String> {
    let kept = prefix.trim_end_matches(LAST_CHARACTER);
    let mut characters: Vec<char> = kept.chars().collect();
    let last = characters.pop()?;
    // Surrogates are no characters, so the range leaves them out.
    let next = (last..=LAST_CHARACTER).nth(1)?;
    characters.push(next);
    Some(characters.into_iter().collect())
}
