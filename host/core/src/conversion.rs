//! Rates between currencies, and what an amount becomes at one: exact decimals, one rounding rule, no float. Which rate a
//! deposit gets is decided by `deposit`; who states it is a trading server. It looks nothing up and knows no clock.
//!
//! **Rounding is toward zero**, whatever the sign: no order, however small, credits more than its rate says, so that many
//! small ones gain nothing. It is applied to what is owed in all, never to the parts of it, so that parts never drift from
//! the whole.

mod ordered;

use std::collections::BTreeMap;
use std::fmt;

pub use self::ordered::Ordered;
use crate::money::{Currency, MINOR_MAX, Money};
use crate::time::UnixTime;

/// Decimals of a rate: beyond those of every published feed, also of a weak currency in bitcoin.
pub const RATE_DECIMALS_MAX: u8 = 18;

/// The digits of a rate as a whole number are at most this, so that a product with any amount fits 128 bits.
pub const RATE_MANTISSA_MAX: u64 = 1_000_000_000_000_000_000;

/// Decimals of a margin in percent: a hundredth of a basis point.
pub const MARGIN_DECIMALS_MAX: u8 = 4;

/// Bytes of a rate's source that are kept: a name for people, no document.
pub const RATE_SOURCE_LENGTH_MAX: usize = 64;

/// The price of one unit of a currency in another: an exact decimal greater than zero, without superfluous zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    mantissa: u64,
    decimals: u8,
}

/// Why a text is no rate or margin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateError {
    /// Not a plain decimal number: quoted, exponent notation, empty, signs, letters.
    NotADecimal,
    NotPositive,
    /// Beyond [`RATE_MANTISSA_MAX`] or [`RATE_DECIMALS_MAX`], or a margin beyond [`MARGIN_DECIMALS_MAX`].
    TooManyDigits,
    /// A margin of [`MARGIN_PERCENT_END`] or more.
    MarginTooLarge,
}

impl fmt::Display for RateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotADecimal => "is not a plain decimal number",
            Self::NotPositive => "must be greater than zero",
            Self::TooManyDigits => "has too many digits",
            Self::MarginTooLarge => "must be less than 10",
        })
    }
}

impl Rate {
    /// Of a currency in itself.
    pub const ONE: Self = Self { mantissa: 1, decimals: 0 };

    /// Parses the text of a JSON number.
    ///
    /// # Errors
    /// It is no plain decimal greater than zero, or longer than a rate may be.
    pub fn parse(text: &str) -> Result<Self, RateError> {
        let (mantissa, decimals) = parse_decimal(text, RATE_DECIMALS_MAX)?;
        Self::of(mantissa, decimals).ok_or(if mantissa == 0 {
            RateError::NotPositive
        } else {
            RateError::TooManyDigits
        })
    }

    /// The rate of these digits and decimals; `None` beyond the limits of one.
    pub fn of(mantissa: u64, decimals: u8) -> Option<Self> {
        let (mut mantissa, mut decimals) = (mantissa, decimals);
        while decimals > 0 && mantissa > 0 && mantissa.is_multiple_of(10) {
            (mantissa, decimals) = (mantissa / 10, decimals - 1);
        }
        let fits = (1..=RATE_MANTISSA_MAX).contains(&mantissa) && decimals <= RATE_DECIMALS_MAX;
        fits.then_some(Self { mantissa, decimals })
    }

    /// Its digits as a whole number, and how many of them are decimals.
    pub fn parts(self) -> (u64, u8) {
        (self.mantissa, self.decimals)
    }

    /// What is left of it after a margin, exactly; digits beyond those of a rate are cut, which credits less. `None` where
    /// nothing is left.
    pub fn less(self, margin: Margin) -> Option<Self> {
        let whole = 100 * 10_u128.pow(u32::from(MARGIN_DECIMALS_MAX));
        let mut mantissa = u128::from(self.mantissa) * whole.saturating_sub(u128::from(margin.units));
        let mut decimals = self.decimals + 2 + MARGIN_DECIMALS_MAX;
        // Zeros that the margin added are no digits of the rate.
        while decimals > 0
            && (mantissa.is_multiple_of(10) || mantissa > u128::from(RATE_MANTISSA_MAX) || decimals > RATE_DECIMALS_MAX)
        {
            (mantissa, decimals) = (mantissa / 10, decimals - 1);
        }
        Self::of(u64::try_from(mantissa).ok()?, decimals)
    }

    /// Minor units of `from` as minor units of `to`, rounded toward zero: 0 is 0, more is never less, and a negative amount is
    /// the negative of the same. What no 64 bits hold is the largest that they do.
    pub fn convert(self, minor: i64, from: Currency, to: Currency) -> i64 {
        // Fits: below 2^63 times 10^18.
        let product = i128::from(minor) * i128::from(self.mantissa);
        let (divisor, factor) = self.scale(from, to);
        let converted = product.saturating_mul(factor) / divisor;
        clamped(converted)
    }

    /// The least minor units of `from` that reach so many of `to`: what a posting was made for, at the least.
    pub fn convert_back(self, minor: i64, from: Currency, to: Currency) -> i64 {
        let (divisor, factor) = self.scale(from, to);
        // Beyond 128 bits the quotient is beyond 64.
        let product = i128::from(minor.unsigned_abs()).saturating_mul(divisor);
        let by = i128::from(self.mantissa) * factor;
        let least = clamped(product / by + i128::from(product % by != 0));
        if minor < 0 { -least } else { least }
    }

    /// By what the digits' product is divided, and multiplied; one of them is 1.
    fn scale(self, from: Currency, to: Currency) -> (i128, i128) {
        let (more, less) = (u32::from(self.decimals) + u32::from(from.exponent()), u32::from(to.exponent()));
        // At most 18 + 8.
        (10_i128.pow(more.saturating_sub(less)), 10_i128.pow(less.saturating_sub(more)))
    }

    /// The published form: at least one decimal and no superfluous ones (`1.0`, `1.0832`).
    pub fn to_wire(self) -> String {
        let places = usize::from(self.decimals);
        let digits = format!("{:0>width$}", self.mantissa, width = places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        format!("{whole}.{}", if fraction.is_empty() { "0" } else { fraction })
    }
}

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_wire())
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_wire())
    }
}

/// A margin is less than this: half of what an amount may differ by to be taken for the same money (`ALIKE_PERCENT`), so that one
/// that is entered at the market's rate is recognized.
const MARGIN_PERCENT_END: u64 = 10;

/// What the broker keeps of a rate, in percent: at least 0, less than [`MARGIN_PERCENT_END`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Margin {
    /// Multiples of 10^-4 percent.
    units: u32,
}

impl Margin {
    pub const NONE: Self = Self { units: 0 };

    /// Parses a plain decimal.
    ///
    /// # Errors
    /// It is none, has more than [`MARGIN_DECIMALS_MAX`] decimals, or is [`MARGIN_PERCENT_END`] or more.
    pub fn parse(text: &str) -> Result<Self, RateError> {
        let (mantissa, decimals) = parse_decimal(text, MARGIN_DECIMALS_MAX)?;
        let units = mantissa.saturating_mul(10_u64.pow(u32::from(MARGIN_DECIMALS_MAX - decimals)));
        let end = MARGIN_PERCENT_END * 10_u64.pow(u32::from(MARGIN_DECIMALS_MAX));
        match u32::try_from(units) {
            Ok(narrow) if units < end => Ok(Self { units: narrow }),
            Ok(_) | Err(_) => Err(RateError::MarginTooLarge),
        }
    }
}

/// How long a rate is used where the settings do not say: within five minutes the large currencies hardly move by a tenth of a
/// percent.
pub const RATE_AGE_SECONDS: u32 = 300;

/// Under which terms the settings let a deposit be converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversionTerms {
    /// A rate that was stated longer ago is not used.
    pub rate_age_seconds: i64,
    /// By the customer's brand; none is kept of a brand that is not named.
    pub margins: BTreeMap<Box<str>, Margin>,
}

impl Default for ConversionTerms {
    fn default() -> Self {
        Self { rate_age_seconds: RATE_AGE_SECONDS.into(), margins: BTreeMap::new() }
    }
}

impl ConversionTerms {
    pub fn margin(&self, brand: &str) -> Margin {
        self.margins.get(brand).copied().unwrap_or(Margin::NONE)
    }
}

/// A rate as somebody stated it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatedRate {
    pub rate: Rate,
    /// When it was stated.
    pub time: UnixTime,
    /// By whom, for people.
    pub source: Box<str>,
}

impl StatedRate {
    /// Whether it may be used: neither from the future nor older than this.
    pub fn is_current(&self, now: UnixTime, age_seconds_max: i64) -> bool {
        self.time.is_set() && self.time <= now && now <= self.time.plus(age_seconds_max)
    }
}

/// The rate of one transaction, frozen when it was made. Everything that it owes is converted with it, whatever the rate is
/// by then; what its whole amount becomes follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversion {
    /// After the margin.
    pub rate: Rate,
    /// When the rate was stated.
    pub time: UnixTime,
    /// Who stated it.
    pub source: Box<str>,
}

/// Why an amount is not converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConversionError {
    /// Less than one minor unit of the account's currency.
    Nothing,
    /// Beyond the largest amount.
    TooLarge,
}

impl Conversion {
    /// Freezes a stated rate for an amount.
    ///
    /// # Errors
    /// The account would get nothing, or more than [`MINOR_MAX`].
    pub fn freeze(
        stated: &StatedRate,
        margin: Margin,
        amount: Money,
        account: Currency,
    ) -> Result<Self, ConversionError> {
        let rate = stated.rate.less(margin).ok_or(ConversionError::Nothing)?;
        match rate.convert(amount.minor, amount.currency, account) {
            ..1 => Err(ConversionError::Nothing),
            1..=MINOR_MAX => Ok(Self { rate, time: stated.time, source: cut(&stated.source).into() }),
            _ => Err(ConversionError::TooLarge),
        }
    }
}

/// The beginning of a source's name.
fn cut(source: &str) -> &str {
    let end = (0..=RATE_SOURCE_LENGTH_MAX.min(source.len())).rev().find(|end| source.is_char_boundary(*end));
    source.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// Within 64 bits, the same for both signs.
fn clamped(value: i128) -> i64 {
    let most = i128::from(i64::MAX);
    i64::try_from(value.clamp(-most, most)).unwrap_or(i64::MAX)
}

/// The digits of a non-negative plain decimal and how many of them are decimals, without superfluous zeros at the end.
fn parse_decimal(text: &str, decimals_max: u8) -> Result<(u64, u8), RateError> {
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if !is_digits(whole) || !is_digits(fraction) {
        return Err(RateError::NotADecimal);
    }
    let fraction = fraction.trim_end_matches('0');
    let decimals = u8::try_from(fraction.len()).ok().filter(|decimals| *decimals <= decimals_max);
    let decimals = decimals.ok_or(RateError::TooManyDigits)?;
    let mut mantissa: u64 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        let next = mantissa.checked_mul(10).and_then(|tens| tens.checked_add(u64::from(digit - b'0')));
        mantissa = next.filter(|next| *next <= RATE_MANTISSA_MAX).ok_or(RateError::TooManyDigits)?;
    }
    Ok((mantissa, decimals))
}
