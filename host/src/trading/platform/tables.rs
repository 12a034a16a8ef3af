//! Rows of the platform's answers, read by the names that its `structure` gives, never by position; and its decimals, which are read
//! as text. It keeps no password. A row that is not as its structure says ends no table.

use serde_json::{Map, Value};

use super::finance_order::may_be_key;
use crate::ports::Fault;

/// What is never read into memory of ours.
const NEVER_KEPT: &str = "password";

/// The widest shift of a decimal in exponent notation: beyond it the amount is none of any currency.
const EXPONENT_MAX: usize = 30;

/// A row, by the names of its columns.
#[derive(Debug, Clone)]
pub(super) struct TableRow {
    members: Map<String, Value>,
    stray: Option<StrayRow>,
}

/// What is known of a row that has other columns than its structure: no value of it has a name.
#[derive(Debug, Clone)]
pub(super) struct StrayRow {
    /// Its texts that may be a key of ours, or have one in them. Of the others one may be a password.
    pub(super) keys: Vec<Box<str>>,
    /// It has less than the structure, so that a key may be what is missing.
    pub(super) is_cut: bool,
}

/// The rows of a table, or of a list of objects.
pub(super) fn rows(data: &Value) -> Result<Vec<TableRow>, Fault> {
    let rows = data.get("rows").or(Some(data)).and_then(Value::as_array);
    let rows = rows.ok_or_else(|| Fault::new("an answer of the trading server has no rows"))?;
    let structure = match data.get("structure") {
        Some(structure) => Some(columns(structure)?),
        None => None,
    };
    let read = |row: &Value| match (row, structure.as_deref()) {
        (Value::Array(_), None) => Err(Fault::new("a table of the trading server has no structure")),
        (row, structure) => Ok(table_row(row, structure).unwrap_or_else(|| TableRow::stray_of(row, structure))),
    };
    rows.iter().map(read).collect()
}

/// How many rows there are, whatever the page holds; `None` where nothing is stated that can be read.
pub(super) fn count(data: &Value) -> Option<u64> {
    match data.get("count")? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// An object that stands alone.
pub(super) fn object(data: &Value) -> Result<TableRow, Fault> {
    table_row(data, None).ok_or_else(|| Fault::new("an answer of the trading server is no object"))
}

fn columns(structure: &Value) -> Result<Vec<&str>, Fault> {
    let unreadable = || Fault::new("the structure of a table of the trading server cannot be read");
    let listed = structure.as_array().ok_or_else(unreadable)?;
    listed.iter().map(|column| column_name(column).ok_or_else(unreadable)).collect()
}

/// A column is its name, or an object that has one.
fn column_name(column: &Value) -> Option<&str> {
    column.as_str().or_else(|| column.get("name")?.as_str())
}

fn table_row(row: &Value, structure: Option<&[&str]>) -> Option<TableRow> {
    let members: Map<String, Value> = match (row, structure) {
        (Value::Array(values), Some(columns)) if values.len() == columns.len() => {
            let named = columns.iter().zip(values).map(|(name, value)| ((*name).to_owned(), value));
            named.filter(|(name, _)| name != NEVER_KEPT).map(|(name, value)| (name, value.clone())).collect()
        }
        (Value::Object(members), _) => {
            let kept = members.iter().filter(|(name, _)| *name != NEVER_KEPT);
            kept.map(|(name, value)| (name.clone(), value.clone())).collect()
        }
        _ => return None,
    };
    Some(TableRow { members, stray: None })
}

impl TableRow {
    fn stray_of(row: &Value, structure: Option<&[&str]>) -> Self {
        let values = row.as_array().map_or(&[][..], Vec::as_slice);
        let texts = values.iter().filter_map(Value::as_str).filter(|text| may_be_key(text));
        let is_cut = values.len() < structure.map_or(1, <[&str]>::len);
        Self { members: Map::new(), stray: Some(StrayRow { keys: texts.map(Into::into).collect(), is_cut }) }
    }

    /// Where its values have no names.
    pub(super) fn stray(&self) -> Option<&StrayRow> {
        self.stray.as_ref()
    }

    /// Whether something stands there that is no text.
    pub(super) fn is_no_text(&self, name: &str) -> bool {
        matches!(self.members.get(name), Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)))
    }

    fn unreadable(&self, name: &str) -> Fault {
        let what = if self.members.contains_key(name) { "cannot be read" } else { "is missing" };
        Fault::new(format!("{name} {what} in an answer of the trading server"))
    }

    pub(super) fn number(&self, name: &str) -> Result<u64, Fault> {
        u64::try_from(self.integer(name)?).map_err(|_| self.unreadable(name))
    }

    pub(super) fn integer(&self, name: &str) -> Result<i64, Fault> {
        let number = match self.members.get(name) {
            Some(Value::Number(number)) => number.as_i64(),
            Some(Value::String(text)) => text.parse().ok(),
            Some(_) | None => None,
        };
        number.ok_or_else(|| self.unreadable(name))
    }

    /// 0 or 1, or what JSON has for it.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Fault> {
        match self.members.get(name) {
            Some(Value::Bool(flag)) => Ok(*flag),
            _ => match self.integer(name)? {
                0 => Ok(false),
                1 => Ok(true),
                _ => Err(self.unreadable(name)),
            },
        }
    }

    pub(super) fn text(&self, name: &str) -> Result<Box<str>, Fault> {
        self.optional_text(name).ok_or_else(|| self.unreadable(name))
    }

    /// A text, or a number as text; `None` where there is none.
    pub(super) fn optional_text(&self, name: &str) -> Option<Box<str>> {
        match self.members.get(name)? {
            Value::String(text) => Some(text.as_str().into()),
            Value::Number(number) => Some(number.to_string().into()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// A decimal without exponent notation.
    pub(super) fn decimal(&self, name: &str) -> Result<Box<str>, Fault> {
        let text = self.text(name)?;
        plain_decimal(&text).map(String::into).ok_or_else(|| self.unreadable(name))
    }
}

/// A decimal as digits with at most one point: `-1.5e2` is `-150`.
pub(super) fn plain_decimal(text: &str) -> Option<String> {
    let (sign, text) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.strip_prefix('+').unwrap_or(exponent).parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let shift = usize::try_from(exponent.unsigned_abs()).ok().filter(|shift| *shift <= EXPONENT_MAX)?;
    let padding = "0".repeat(shift);
    let (whole, fraction) = if exponent < 0 {
        let all = format!("{padding}{whole}");
        let (left, right) = all.split_at_checked(all.len().checked_sub(shift)?)?;
        (left.to_owned(), format!("{right}{fraction}"))
    } else {
        let all = format!("{fraction}{padding}");
        let (left, right) = all.split_at_checked(shift)?;
        (format!("{whole}{left}"), right.to_owned())
    };
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    Some(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_are_read_by_the_names_of_their_structure() {
        let one = json!({"structure": ["login", "state"], "rows": [[7, 17]], "count": 40});
        let other = json!({"structure": [{"name": "state"}, {"name": "login"}], "rows": [[17, 7]]});
        for table in [one.clone(), other, json!([{"state": 17, "login": "7"}])] {
            let rows = rows(&table).unwrap();
            assert_eq!((rows[0].number("login").unwrap(), rows[0].integer("state").unwrap()), (7, 17));
        }
        assert_eq!(count(&one), Some(40));
        let counts = [json!("40"), json!(" 40"), json!("many"), json!(-1), Value::Null, json!([40])];
        let read = counts.map(|stated| count(&json!({ "count": stated })));
        assert_eq!(read, [Some(40), Some(40), None, None, None, None]);
        for wrong in [json!({"rows": [[7]]}), json!({"structure": "login", "rows": []}), json!({}), json!(7)] {
            assert!(rows(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn of_a_row_without_names_nothing_is_kept_but_what_may_be_a_key() {
        let (key, uuid) = ("d0123456789abcdefghj:1", "56c6f448-abc1-8c40-bd77-87771720fd3b");
        let texts =
            [key.to_owned(), format!("{key} cashier 9 r0"), uuid.to_owned(), "CANARY:1".into(), "CANARY".into()];
        let table = json!({"structure": ["a", "b", "c"], "rows": [texts, [key], null, {"a": 1}], "count": 4});
        let rows = rows(&table).unwrap();
        let strays = rows.iter().map(|row| row.stray().map(|stray| (stray.keys.len(), stray.is_cut)));
        assert_eq!(strays.collect::<Vec<_>>(), [Some((3, false)), Some((1, true)), Some((0, true)), None]);
        assert!(!format!("{rows:?}").contains("CANARY"));
        assert!(rows[0].number("a").is_err() && rows[0].optional_text("b").is_none());
    }

    #[test]
    fn a_password_is_never_kept() {
        let row = object(&json!({"login": 7, "password": "CANARY"})).unwrap();
        let listed = rows(&json!({"structure": ["password", "login"], "rows": [["CANARY", 7]]})).unwrap();
        assert!(!format!("{row:?} {listed:?}").contains("CANARY"));
        assert_eq!(row.text("password").unwrap_err().what, "password is missing in an answer of the trading server");
    }

    #[test]
    fn what_is_missing_or_of_another_kind_is_named() {
        let row = object(&json!({"enable": 2, "login": -7, "state": "x"})).unwrap();
        assert_eq!(row.flag("enable").unwrap_err().what, "enable cannot be read in an answer of the trading server");
        assert!(row.number("login").is_err() && row.integer("state").is_err() && row.text("group").is_err());
    }

    #[test]
    fn decimals_are_exact_whatever_their_notation() {
        let table = [
            ("100", Some("100")),
            ("-100.50", Some("-100.5")),
            ("1e2", Some("100")),
            ("-1.25E+1", Some("-12.5")),
            ("1e-7", Some("0.0000001")),
            ("12345e-2", Some("123.45")),
            ("0.0", Some("0")),
            ("1.", None),
            (".5", None),
            ("1e99", None),
            ("NaN", None),
            ("", None),
            ("1e", None),
            ("--1", None),
        ];
        for (text, expected) in table {
            assert_eq!(plain_decimal(text).as_deref(), expected, "{text}");
        }
    }
}
