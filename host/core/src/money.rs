//! Exact money: whole minor units of a currency with its exponent. No float, no rounding, no conversion. A module
//! translates provider exponents that differ from ISO.

use std::fmt;

/// The largest amount: 10^15 minor units (API.md section 1, money rules).
pub const MINOR_MAX: i64 = 1_000_000_000_000_000;

/// Decimals of the finest exponent of any known currency.
const UNIT_EXPONENT: u8 = 8;

/// Longest currency code; ISO codes have three characters, crypto codes up to this many.
pub const CODE_LENGTH_MAX: usize = 8;

/// Crypto currencies and their exponents, at most 8 (API.md section 1). Exponents beyond 8 on chain are cut to 8,
/// because no deposit is agreed more finely.
const CRYPTO: &[(&str, u8)] = &[
    ("ADA", 6),
    ("BCH", 8),
    ("BNB", 8),
    ("BTC", 8),
    ("DAI", 8),
    ("DASH", 8),
    ("DOGE", 8),
    ("DOT", 8),
    ("ETH", 8),
    ("LTC", 8),
    ("SOL", 8),
    ("TON", 8),
    ("TRX", 6),
    ("USDC", 6),
    ("USDT", 6),
    ("XMR", 8),
    ("XRP", 6),
];

/// A known currency with its number of decimals.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency {
    code: [u8; CODE_LENGTH_MAX],
    exponent: u8,
}

impl Currency {
    /// Finds a currency by its upper-case code; `None` for one that is in neither table.
    pub fn from_code(code: &str) -> Option<Self> {
        let exponent = match CRYPTO.binary_search_by(|(known, _)| (*known).cmp(code)) {
            Ok(place) => CRYPTO.get(place)?.1,
            Err(_) => iso_exponent(code)?,
        };
        let mut bytes = [0; CODE_LENGTH_MAX];
        bytes.get_mut(..code.len())?.copy_from_slice(code.as_bytes());
        Some(Self { code: bytes, exponent })
    }

    /// Every currency that there is.
    pub fn known() -> impl Iterator<Item = Self> {
        // ISO 4217 numbers have three digits.
        let iso = (0..1_000).filter_map(iso_currency::Currency::from_numeric);
        let crypto = CRYPTO.iter().filter_map(|(code, _)| Self::from_code(code));
        crypto.chain(iso.filter_map(|known| Self::from_code(known.code())))
    }

    pub fn code(&self) -> &str {
        let length = self.code.iter().position(|&byte| byte == 0).unwrap_or(CODE_LENGTH_MAX);
        self.code.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or("")
    }

    /// Decimals of one unit: 2 for USD, 0 for JPY, 3 for KWD, at most 8.
    pub fn exponent(&self) -> u8 {
        self.exponent
    }
}

/// ISO 4217, without the codes that are no currency of a country (gold, funds, test codes).
fn iso_exponent(code: &str) -> Option<u8> {
    let exponent = iso_currency::Currency::from_code(code)?.exponent()?;
    u8::try_from(exponent).ok()
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Why a text is not an amount of a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmountError {
    /// Not a plain decimal number: quoted, exponent notation, empty, signs, letters.
    NotADecimal,
    NotPositive,
    /// More decimals than the currency has.
    TooManyDecimals,
    /// Beyond [`MINOR_MAX`].
    TooLarge,
}

impl fmt::Display for AmountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotADecimal => "is not a plain decimal number",
            Self::NotPositive => "must be greater than zero",
            Self::TooManyDecimals => "has more decimals than its currency",
            Self::TooLarge => "is larger than 10^15 minor units",
        })
    }
}

/// An exact amount of one currency, in minor units. May be negative where a balance operation takes money out.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    pub minor: i64,
    pub currency: Currency,
}

impl Money {
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Parses a positive amount from the text of a JSON number (API.md section 1, money rules).
    pub fn parse_positive(text: &str, currency: Currency) -> Result<Self, AmountError> {
        match parse_minor(text, currency.exponent)? {
            0 => Err(AmountError::NotPositive),
            minor => Ok(Self { minor, currency }),
        }
    }

    /// The value in multiples of 10^-8: amounts of different currencies compare by it.
    pub fn units(self) -> i128 {
        let scale = 10_i64.pow(u32::from(UNIT_EXPONENT.saturating_sub(self.currency.exponent)));
        i128::from(self.minor) * i128::from(scale)
    }

    /// The published form: at least one decimal and no superfluous ones (`250.0`, `0.05`, JPY `100.0`).
    pub fn to_wire(self) -> String {
        minor_to_wire(self.minor, self.currency.exponent)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.to_wire(), self.currency)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.to_wire(), self.currency)
    }
}

/// A limit of a config or override: an exact decimal without a currency, because a config may serve any.
/// Zero means "no limit".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Limit {
    /// Multiples of 10^-8.
    units: i128,
}

impl Limit {
    /// The largest limit: 10^15 whole units, beyond every amount of every currency.
    const UNITS_MAX: i128 = 100_000_000_000_000_000_000_000;

    pub const NONE: Self = Self { units: 0 };

    /// Parses a non-negative plain decimal with at most eight decimals.
    pub fn parse(text: &str) -> Result<Self, AmountError> {
        let units = parse_units(text)?;
        if units > Self::UNITS_MAX { Err(AmountError::TooLarge) } else { Ok(Self { units }) }
    }

    pub fn is_set(self) -> bool {
        self.units != 0
    }

    /// Compares an amount to this limit, by value.
    pub fn compare(self, amount: Money) -> std::cmp::Ordering {
        amount.units().cmp(&self.units)
    }

    /// The published form of money: `25.0`, `0.05`.
    pub fn to_wire(self) -> String {
        let (whole, fraction) = (self.units / 100_000_000, self.units % 100_000_000);
        // Both fit: limits are not negative and at most 10^15 whole units. 64 bits are formatted several times faster.
        let narrow = |part: i128| u64::try_from(part).unwrap_or(u64::MAX);
        decimal("", narrow(whole), narrow(fraction), UNIT_EXPONENT)
    }
}

/// Parses a non-negative plain decimal of at most eight decimals as multiples of 10^-8, whatever its currency; its whole part is
/// at most [`MINOR_MAX`].
pub fn parse_units(text: &str) -> Result<i128, AmountError> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction_units =
        parse_minor(&format!("0.{}", if fraction.is_empty() { "0" } else { fraction }), UNIT_EXPONENT)?;
    let whole_units = parse_minor(whole, 0)?;
    if text.ends_with('.') {
        return Err(AmountError::NotADecimal);
    }
    Ok(i128::from(whole_units) * 100_000_000 + i128::from(fraction_units))
}

/// Parses a non-negative plain decimal as minor units of an exponent; trailing zeros beyond it are ignored.
pub fn parse_minor(text: &str, exponent: u8) -> Result<i64, AmountError> {
    if text.strip_prefix('-').is_some_and(is_plain_decimal) {
        return Err(AmountError::NotPositive);
    }
    if !is_plain_decimal(text) {
        return Err(AmountError::NotADecimal);
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = fraction.trim_end_matches('0');
    let places = usize::from(exponent);
    if fraction.len() > places {
        return Err(AmountError::TooManyDecimals);
    }
    let mut minor: i64 = 0;
    let padding = std::iter::repeat_n(b'0', places - fraction.len());
    for digit in whole.bytes().chain(fraction.bytes()).chain(padding) {
        minor = minor * 10 + i64::from(digit - b'0');
        if minor > MINOR_MAX {
            return Err(AmountError::TooLarge);
        }
    }
    Ok(minor)
}

/// Digits, optionally a point and more digits; no sign, no exponent, no leading point.
fn is_plain_decimal(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(text),
    }
}

/// Writes minor units of an exponent with at least one decimal and no superfluous ones.
fn minor_to_wire(minor: i64, exponent: u8) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let scale = 10_u64.pow(u32::from(exponent.min(8)));
    decimal(sign, minor.unsigned_abs() / scale, minor.unsigned_abs() % scale, exponent.min(8))
}

/// `whole.fraction` with the fraction's trailing zeros left out, but for the first digit.
fn decimal(sign: &str, whole: u64, fraction: u64, places: u8) -> String {
    let mut text = format!("{sign}{whole}.");
    let mut rest = fraction;
    let mut scale = 10_u64.pow(u32::from(places));
    loop {
        scale = (scale / 10).max(1);
        let digit = rest / scale % 10;
        text.push(char::from(b'0' + digit as u8));
        rest %= scale;
        if rest == 0 || scale == 1 {
            return text;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_with_at_least_one_decimal() {
        let table = [
            (25_000, "USD", "250.0"),
            (5, "USD", "0.05"),
            (100, "JPY", "100.0"),
            (-25_050, "USD", "-250.5"),
            (1, "BTC", "0.00000001"),
            (0, "USD", "0.0"),
        ];
        for (minor, code, expected) in table {
            assert_eq!(Money::new(minor, Currency::from_code(code).unwrap()).to_wire(), expected);
        }
    }

    #[test]
    fn limits_compare_by_value_for_every_exponent() {
        use std::cmp::Ordering::*;
        let usd = |minor| Money::new(minor, Currency::from_code("USD").unwrap());
        let limit = Limit::parse("25.50").unwrap();
        assert_eq!([2_549, 2_550, 2_551].map(|minor| limit.compare(usd(minor))), [Less, Equal, Greater]);
        assert_eq!((limit.to_wire(), Limit::NONE.to_wire()), ("25.5".into(), "0.0".into()));
        for text in ["1000000000000000.0", "999999999999999.99999999", "0.00000001", "92233720368.54775808", "10.01"] {
            assert_eq!(Limit::parse(text).map(Limit::to_wire).as_deref(), Ok(text));
        }
        for wrong in ["", "-1", "1e2", "0.000000001", "1.", ".1", "x", "1.2.3"] {
            assert!(Limit::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn currencies_are_iso_4217_and_a_named_list_of_crypto() {
        let exponents = [("USD", Some(2)), ("JPY", Some(0)), ("BHD", Some(3)), ("ISK", Some(0)), ("USDT", Some(6))];
        for (code, exponent) in exponents {
            assert_eq!(Currency::from_code(code).map(|known| known.exponent()), exponent, "{code}");
        }
        for unknown in ["usd", "", "US", "XYZ", "EURO", "TOOLONGCODE", "XAU", "XXX", "€"] {
            assert_eq!(Currency::from_code(unknown), None, "{unknown}");
        }
        assert!(CRYPTO.is_sorted_by_key(|(code, _)| *code), "the table is binary-searched");
    }
}
