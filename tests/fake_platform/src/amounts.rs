//! Numbers of the protocol: whole ones, and amounts with two decimals as JSON numbers that keep their text.

use serde_json::Value;

/// Minor units as the protocol writes them.
pub fn decimal(minor: i64) -> Value {
    let sign = if minor < 0 { "-" } else { "" };
    let text = format!("{sign}{}.{:02}", minor.abs() / 100, minor.abs() % 100);
    serde_json::from_str(&text).unwrap()
}

/// Minor units of what the protocol writes; `None` where it is no number with at most two decimals.
pub(crate) fn minor(value: &Value) -> Option<i64> {
    let text = value.as_number()?.to_string();
    let (sign, plain) = text.strip_prefix('-').map_or((1, &*text), |plain| (-1, plain));
    let (whole, part) = plain.split_once('.').unwrap_or((plain, "0"));
    let part = format!("{part:0<2}");
    Some(sign * (whole.parse::<i64>().ok()? * 100 + part.parse::<i64>().ok().filter(|_| part.len() == 2)?))
}

/// A whole number of a request.
pub(crate) fn number(data: &Value, name: &str) -> Result<u64, (i64, &'static str)> {
    data[name].as_u64().ok_or((400, "INVALID_DATA"))
}
