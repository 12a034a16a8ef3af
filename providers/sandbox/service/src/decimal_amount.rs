//! Amounts as decimal text: integers of 10^-8 inside, never a float.
//! Does not know currencies and their exponents: the service echoes the amount of the request.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Digits before the point: 10^15 units is more than any payment, and sums of many stay far inside u128.
const WHOLE_DIGITS_MAX: usize = 15;
/// Digits after the point: crypto currencies have at most 8.
const DECIMALS_MAX: usize = 8;

const UNIT: u128 = 100_000_000;

/// A decimal amount with the number of decimals it was written with.
#[derive(Debug, Clone, Copy)]
pub struct DecimalAmount {
    /// Units of 10^-8.
    scaled: u128,
    decimals: usize,
}

impl DecimalAmount {
    pub fn zero_like(other: Self) -> Self {
        Self { scaled: 0, decimals: other.decimals }
    }

    pub fn is_zero(self) -> bool {
        self.scaled == 0
    }

    /// The whole units when the fraction is zero.
    pub fn whole(self) -> Option<u128> {
        self.scaled.is_multiple_of(UNIT).then_some(self.scaled / UNIT)
    }

    pub fn plus(self, other: Self) -> Self {
        Self { scaled: self.scaled.saturating_add(other.scaled), decimals: self.decimals.max(other.decimals) }
    }

    /// `None` when `other` is larger.
    pub fn minus(self, other: Self) -> Option<Self> {
        Some(Self { scaled: self.scaled.checked_sub(other.scaled)?, decimals: self.decimals.max(other.decimals) })
    }

    /// One whole unit more: the other amount of the switch `webhook_amount` when none is named.
    pub fn one_more(self) -> Self {
        Self { scaled: self.scaled.saturating_add(UNIT), decimals: self.decimals }
    }
}

impl PartialEq for DecimalAmount {
    /// By value: `5` equals `5.00`.
    fn eq(&self, other: &Self) -> bool {
        self.scaled == other.scaled
    }
}

impl Eq for DecimalAmount {}

impl PartialOrd for DecimalAmount {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DecimalAmount {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.scaled.cmp(&other.scaled)
    }
}

impl fmt::Display for DecimalAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.scaled / UNIT)?;
        if self.decimals == 0 {
            return Ok(());
        }
        let fraction = format!("{:08}", self.scaled % UNIT);
        write!(f, ".{}", fraction.get(..self.decimals).unwrap_or(&fraction))
    }
}

impl FromStr for DecimalAmount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (whole, fraction) = match text.split_once('.') {
            Some((_, "")) => return Err("an amount must not end in a point".into()),
            Some(parts) => parts,
            None => (text, ""),
        };
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) {
            return Err("an amount is decimal text such as \"250.00\"".into());
        }
        if whole.len() > 1 && whole.starts_with('0') {
            return Err("an amount has no leading zeros".into());
        }
        if whole.len() > WHOLE_DIGITS_MAX || fraction.len() > DECIMALS_MAX {
            return Err(format!(
                "an amount has at most {WHOLE_DIGITS_MAX} digits before and {DECIMALS_MAX} after the point"
            ));
        }
        let scaled =
            format!("{whole}{fraction:0<DECIMALS_MAX$}").parse().map_err(|_| "an amount is decimal text".to_owned())?;
        Ok(Self { scaled, decimals: fraction.len() })
    }
}

impl Serialize for DecimalAmount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DecimalAmount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_decimals_is_kept_and_equality_is_by_value() {
        for text in ["0", "5", "5.00", "0.05", "0.00000001", "999999999999999.99999999"] {
            assert_eq!(text.parse::<DecimalAmount>().unwrap().to_string(), text);
        }
        assert_eq!("5".parse::<DecimalAmount>(), "5.00".parse());
        assert_eq!("5.5".parse::<DecimalAmount>().unwrap().whole(), None);
        assert_eq!("402.00".parse::<DecimalAmount>().unwrap().whole(), Some(402));
    }

    #[test]
    fn text_that_is_not_a_plain_decimal_is_refused() {
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e3",
            "1,5",
            " 1",
            "01",
            "1.000000001",
            "1000000000000000",
            "٣",
            "0x1",
            "1.2.3",
        ] {
            assert!(text.parse::<DecimalAmount>().is_err(), "{text}");
        }
    }

    #[test]
    fn sums_keep_the_larger_number_of_decimals() {
        let (hundred, half): (DecimalAmount, DecimalAmount) = ("100".parse().unwrap(), "0.50".parse().unwrap());
        assert_eq!(hundred.minus(half).unwrap().to_string(), "99.50");
        assert_eq!(hundred.plus(half).to_string(), "100.50");
        assert_eq!(half.minus(hundred), None);
        assert_eq!(half.one_more().to_string(), "1.50");
        assert_eq!(DecimalAmount::zero_like(half).to_string(), "0.00");
    }
}
