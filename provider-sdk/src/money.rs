//! Amounts as providers write them: integer minor units with the provider's own exponent, or
//! decimal text. Every conversion is exact; there is no float and no rounding.

use std::fmt;

/// Money in one currency. The exponent is the provider's, not ISO's, and travels with the amount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Amount {
    /// In units of 10^-exponent. 25000 with exponent 2 is 250.00.
    pub minor: i64,
    /// 0..=18.
    pub exponent: u8,
    /// Upper case, such as `USD`.
    pub currency: String,
}

impl Amount {
    pub fn new(minor: i64, exponent: u8, currency: impl Into<String>) -> Self {
        Self {
            minor,
            exponent,
            currency: currency.into(),
        }
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
}

/// `250.00 USD`
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.decimal(), self.currency)
    }
}
