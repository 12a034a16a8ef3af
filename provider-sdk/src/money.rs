//! Amounts as providers write them: integer minor units with the provider's own exponent, decimal text or a JSON
//! number. Every conversion is exact: no floats, no rounding. `tests/vectors/money.txt` is the specification.

use std::error::Error;
use std::fmt;

use serde_json::Value;

use crate::types::ProviderFailure;

/// Largest exponent: 10^18 is the largest power of ten in an `i64`.
pub const EXPONENT_MAX: u8 = 18;

/// Longest number that is parsed: 19 digits, a sign, a point, 18 decimals and an exponent fit.
const NUMBER_CHARS_MAX: usize = 64;

/// An amount of one currency. The exponent is the provider's, not ISO's, and is part of the amount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Amount {
    /// In units of 10^-exponent: 25000 with exponent 2 is 250.00.
    pub minor: i64,
    /// 0..=18.
    pub exponent: u8,
    /// Upper case, such as `USD`.
    pub currency: String,
}

impl Amount {
    /// `minor` units of 10^-`exponent`.
    pub fn new(minor: i64, exponent: u8, currency: impl Into<String>) -> Self {
        Self { minor, exponent, currency: currency.into() }
    }

    /// Parses a decimal such as `250`, `250.00`, `-0.05` or `1e-7`. Trailing zeros beyond the exponent are allowed.
    ///
    /// # Errors
    /// The text is not a number, has more decimals than `exponent`, or is too large.
    pub fn from_decimal(text: &str, exponent: u8, currency: impl Into<String>) -> Result<Self, MoneyError> {
        Ok(Self::new(minor_of(text, exponent)?, exponent, currency))
    }

    /// Parses a JSON number, or a string with a number, as a decimal amount.
    ///
    /// # Errors
    /// As [`Amount::from_decimal`].
    pub fn from_json_decimal(value: &Value, exponent: u8, currency: impl Into<String>) -> Result<Self, MoneyError> {
        let text = json_text(value).ok_or(MoneyError::NotANumber)?;
        Self::from_decimal(&text, exponent, currency)
    }

    /// Parses a JSON number, or a string with a number, as minor units: `25000` or `25000.0`.
    ///
    /// # Errors
    /// As [`Amount::from_decimal`] with exponent 0.
    pub fn from_json_minor(value: &Value, exponent: u8, currency: impl Into<String>) -> Result<Self, MoneyError> {
        let text = json_text(value).ok_or(MoneyError::NotANumber)?;
        Ok(Self::new(minor_of(&text, 0)?, exponent, currency))
    }

    /// The amount as decimal text with exactly `exponent` decimals: `250.00`, `-0.05`, `100`.
    pub fn decimal(&self) -> String {
        let digits = self.minor.unsigned_abs().to_string();
        let sign = if self.minor < 0 { "-" } else { "" };
        let places = usize::from(self.exponent);
        if places == 0 {
            return format!("{sign}{digits}");
        }
        let padded = format!("{digits:0>width$}", width = places.saturating_add(1));
        let (whole, fraction) = padded.split_at(padded.len().saturating_sub(places));
        format!("{sign}{whole}.{fraction}")
    }

    /// The same amount in units of 10^-`exponent`.
    ///
    /// # Errors
    /// It needs more decimals than that, or is too large.
    pub fn rescaled(&self, exponent: u8) -> Result<Self, MoneyError> {
        let minor = scaled(i128::from(self.minor), i64::from(exponent).saturating_sub(i64::from(self.exponent)))?;
        Ok(Self::new(minor, exponent, self.currency.clone()))
    }
}

/// `250.00 USD`
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.decimal(), self.currency)
    }
}

/// A provider's table of exponents: how many decimals its minor units have, per currency.
#[derive(Clone, Copy, Debug)]
pub struct Exponents {
    default: u8,
    exceptions: &'static [(&'static str, u8)],
}

impl Exponents {
    /// `default` for every currency that is not in `exceptions`.
    pub const fn new(default: u8, exceptions: &'static [(&'static str, u8)]) -> Self {
        Self { default, exceptions }
    }

    /// The exponent of a currency; case does not matter.
    pub fn of(&self, currency: &str) -> u8 {
        self.exceptions
            .iter()
            .find(|(code, _)| code.eq_ignore_ascii_case(currency))
            .map_or(self.default, |(_, exponent)| *exponent)
    }

    /// An ordered amount in this provider's units.
    ///
    /// # Errors
    /// The provider cannot express it exactly: return `RefusedRequest`.
    pub fn express(&self, amount: &Amount) -> Result<Amount, MoneyError> {
        amount.rescaled(self.of(&amount.currency))
    }

    /// Parses minor units as this provider writes them in JSON; the currency is converted to upper case.
    ///
    /// # Errors
    /// As [`Amount::from_json_minor`].
    pub fn read_minor(&self, value: &Value, currency: &str) -> Result<Amount, MoneyError> {
        Amount::from_json_minor(value, self.of(currency), currency.to_ascii_uppercase())
    }

    /// Parses a decimal as this provider writes it in JSON; the currency is converted to upper case.
    ///
    /// # Errors
    /// As [`Amount::from_json_decimal`].
    pub fn read_decimal(&self, value: &Value, currency: &str) -> Result<Amount, MoneyError> {
        Amount::from_json_decimal(value, self.of(currency), currency.to_ascii_uppercase())
    }
}

/// The text of a JSON number as it was sent, or of a JSON string; `None` for other types. All digits and zeros
/// remain, but an exponent is normalized (`1E5` to `1e+5`): a scheme that signs exponents as sent must use the
/// raw body.
pub fn json_text(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Why a text is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoneyError {
    /// Not a JSON number.
    NotANumber,
    /// More decimals than the currency has.
    TooPrecise,
    /// More minor units than an `i64` holds, or an exponent above 18.
    TooLarge,
}

impl fmt::Display for MoneyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotANumber => "the amount is not a number",
            Self::TooPrecise => "the amount has more decimals than its currency",
            Self::TooLarge => "the amount is too large",
        })
    }
}

impl Error for MoneyError {}

/// An unreadable amount in a reply leaves the outcome unknown.
impl From<MoneyError> for ProviderFailure {
    fn from(error: MoneyError) -> Self {
        Self::unreadable(error.to_string())
    }
}

/// The minor units of a decimal in JSON's number syntax; leading zeros are accepted too.
fn minor_of(text: &str, exponent: u8) -> Result<i64, MoneyError> {
    if text.len() > NUMBER_CHARS_MAX {
        return Err(MoneyError::TooLarge);
    }
    let (mantissa, power) = match text.split_once(['e', 'E']) {
        Some((mantissa, power)) => (mantissa, power_of(power)?),
        None => (text, 0),
    };
    let (negative, unsigned) = match mantissa.strip_prefix('-') {
        Some(unsigned) => (true, unsigned),
        None => (false, mantissa),
    };
    let (whole, fraction) = match unsigned.split_once('.') {
        // JSON requires decimals after a point.
        Some((_, "")) => return Err(MoneyError::NotANumber),
        Some(parts) => parts,
        None => (unsigned, ""),
    };
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|c| c.is_ascii_digit()) {
        return Err(MoneyError::NotANumber);
    }
    let fraction = fraction.trim_end_matches('0');
    let mut digits: i128 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        digits = digits
            .checked_mul(10)
            .and_then(|digits| digits.checked_add(i128::from(digit.wrapping_sub(b'0'))))
            .ok_or(MoneyError::TooLarge)?;
    }
    let decimals = i64::try_from(fraction.len()).map_err(|_| MoneyError::TooLarge)?;
    let shift = i64::from(exponent).saturating_add(power).saturating_sub(decimals);
    let minor = scaled(if negative { digits.saturating_neg() } else { digits }, shift)?;
    if exponent > EXPONENT_MAX {
        return Err(MoneyError::TooLarge);
    }
    Ok(minor)
}

fn power_of(text: &str) -> Result<i64, MoneyError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|c| c.is_ascii_digit()) {
        return Err(MoneyError::NotANumber);
    }
    // A power beyond an i64 counts as the largest one: scaling rejects it.
    let size: i64 = digits.parse().unwrap_or(i64::MAX);
    Ok(if text.starts_with('-') { size.saturating_neg() } else { size })
}

/// `digits` times 10^`shift`, exactly.
fn scaled(mut digits: i128, shift: i64) -> Result<i64, MoneyError> {
    if digits == 0 {
        return Ok(0);
    }
    // An i128 has 39 digits: every longer shift overflows or cuts digits off.
    for _ in 0..shift.unsigned_abs().min(40) {
        digits = if shift > 0 {
            digits.checked_mul(10).ok_or(MoneyError::TooLarge)?
        } else if digits.rem_euclid(10) == 0 {
            digits.div_euclid(10)
        } else {
            return Err(MoneyError::TooPrecise);
        };
    }
    i64::try_from(digits).map_err(|_| MoneyError::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn json_numbers_keep_the_text_they_were_sent_in() {
        let body: Value = serde_json::from_str(r#"[1.000000, 1e-7, 25000, "0.10", 1E5, true]"#).expect("json");
        let texts: Vec<_> = body.as_array().expect("an array").iter().map(json_text).collect();
        assert_eq!(texts[0].as_deref(), Some("1.000000"));
        assert_eq!(texts[1].as_deref(), Some("1e-7"));
        assert_eq!(texts[2].as_deref(), Some("25000"));
        assert_eq!(texts[3].as_deref(), Some("0.10"));
        assert_eq!(texts[4].as_deref(), Some("1e+5"));
        assert_eq!(texts[5], None);
    }

    #[test]
    fn a_provider_has_its_own_exponents() {
        const TABLE: Exponents = Exponents::new(2, &[("JPY", 0), ("KWD", 3)]);
        assert_eq!(TABLE.read_minor(&250.into(), "jpy"), Ok(Amount::new(250, 0, "JPY")));
        assert_eq!(TABLE.read_decimal(&"1.5".into(), "kwd"), Ok(Amount::new(1_500, 3, "KWD")));
        // ISK has no decimals in ISO 4217 and two at this provider.
        assert_eq!(TABLE.express(&Amount::new(100, 0, "ISK")), Ok(Amount::new(10_000, 2, "ISK")));
        assert_eq!(TABLE.express(&Amount::new(150, 2, "JPY")), Err(MoneyError::TooPrecise));
        assert_eq!(TABLE.express(&Amount::new(i64::MAX, 0, "USD")), Err(MoneyError::TooLarge));
    }

    proptest! {
        #[test]
        fn a_written_amount_parses_to_itself(minor: i64, exponent in 0..=EXPONENT_MAX) {
            let amount = Amount::new(minor, exponent, "XXX");
            prop_assert_eq!(Amount::from_decimal(&amount.decimal(), exponent, "XXX"), Ok(amount));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,70}", exponent: u8) {
            let _ = Amount::from_decimal(&text, exponent, "XXX");
        }

        #[test]
        fn rescaling_there_and_back_is_the_same_amount(minor: i64, exponent: u8, to: u8) {
            let amount = Amount::new(minor, exponent, "XXX");
            prop_assert!(!amount.decimal().is_empty());
            if let Ok(rescaled) = amount.rescaled(to) {
                prop_assert_eq!(rescaled.rescaled(exponent), Ok(amount));
            }
        }
    }
}
