//! The values of the protocol between the cashier and a broker's own trading server (docs/trading-server.md), each with the
//! sentence that says what it must be. Amounts are strings, read by their text. It knows no call.

use std::borrow::Cow;

use cashier_core::conversion::Rate;
use cashier_core::ids::{ID_MAX, Reference};
use cashier_core::lengths::{CODE_LENGTH_MAX, COMMENT_LENGTH_MAX};
use cashier_core::money::{AmountError, Currency, Money, parse_minor};
use cashier_core::operation::OperationKey;
use cashier_core::printable::{Printable, check_code};
use cashier_core::status::{OperationCmd, OperationReason};
use cashier_core::time::UnixTime;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::json_object::schema::{self, kind, one_of, with};
use crate::json_object::{Described, FieldValue, Problem, Schema, values};

/// Latest time of an answer, 9999-12-31: beyond it calendars break.
pub(super) const LATEST_TIME: i64 = 253_402_300_799;

/// Digits of an amount before its point: 10^15 minor units have so many.
const WHOLE_DIGITS: usize = 16;
/// Digits behind its point: the finest currency has so many.
const FRACTION_DIGITS: usize = 8;

/// A plain decimal with a sign, in a string.
pub const DECIMAL_PATTERN: &str = "^-?[0-9]{1,16}(\\.[0-9]{1,8})?$";
/// Digits of a rate, whole and decimals together: so many fit the mantissa of every rate.
const PRICE_DIGITS: usize = 18;
const PRICE_PATTERN: &str = "^(?=.*[1-9])(?=[0-9.]{1,19}$)[0-9]{1,18}(\\.[0-9]{1,17})?$";
/// A reference with the number of the operation, or the operation's id as key: what [`OperationKey::read`] reads.
pub const KEY_PATTERN: &str = "^([0-9A-Za-z]{20}:[0-9]{1,10}|[0-9]{1,16})$";
/// Digits of the number of an operation within its transaction, and of an id.
const ORDINAL_DIGITS: usize = 10;
const ID_DIGITS: usize = 16;

macro_rules! stated_values {
    ($($(#[$doc:meta])* $name:ident($inner:ty), $must_be:literal, $schema:expr, |$raw:ident| $read:expr;)*) => {
        values! {$(
            $(#[$doc])*
            $name($inner), $schema, |raw| {
                let $raw = raw.get();
                $read.ok_or(Cow::Borrowed(concat!("must be ", $must_be)))
            }, {
                const MISSING: &'static str = "is missing";
            };
        )*}
    };
}

stated_values! {
    /// A time of the server.
    StatedTime(UnixTime), "a whole number of Unix seconds", schema::whole(0, LATEST_TIME),
        |raw| raw.parse().ok().filter(|time| (0..=LATEST_TIME).contains(time)).map(UnixTime);

    /// The number of an order, which is never 0.
    StatedOrder(u64), "a whole number from 1 to 2^53 - 1", schema::whole(1, ID_MAX.cast_signed()),
        |raw| raw.parse().ok().filter(|id| (1..=ID_MAX).contains(id));

    /// A count of rows, and the number of the protocol.
    StatedCount(u64), "a whole number from 0 to 2^53 - 1", schema::whole(0, ID_MAX.cast_signed()),
        |raw| raw.parse().ok().filter(|count| *count <= ID_MAX);

    /// A decimal, not read yet: its exponent is its currency's.
    StatedDecimal(Box<str>), "a plain decimal in a string, such as \"-250.5\"", with(&kind("string"), "pattern", DECIMAL_PATTERN),
        |raw| text(raw).filter(|text| is_decimal(text));

    /// The price of one unit of a currency in another.
    StatedPrice(Rate), "a plain decimal above 0 in a string, of at most 18 digits", with(&kind("string"), "pattern", PRICE_PATTERN),
        |raw| {
            let digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).count();
            text(raw).filter(|text| digits(text) <= PRICE_DIGITS).and_then(|text| Rate::parse(&text).ok())
        };

    /// A name or a source that operators see.
    StatedName(Box<str>), "a text of at most 64 bytes on one line", schema::text(CODE_LENGTH_MAX), |raw| code(raw);

    /// An instance or a cursor.
    StatedMark(Box<str>), "at most 64 of A-Z a-z 0-9 - _", with(&schema::text(CODE_LENGTH_MAX), "pattern", "^[A-Za-z0-9_-]*$"),
        |raw| text(raw).filter(|mark| is_mark(mark));

    /// Why the server refused.
    StatedReason(Box<str>), "at most 64 of A-Z 0-9 _", with(&schema::text(CODE_LENGTH_MAX), "pattern", "^[A-Z0-9_]+$"),
        |raw| code(raw).filter(|reason| {
            !reason.is_empty() && reason.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_'))
        });

    /// The server's words, for the log: escaped, and cut where they are too long.
    StatedWords(Box<str>), "a text", schema::text(COMMENT_LENGTH_MAX), |raw| text(raw).map(|words| {
        Printable(&words.chars().take(COMMENT_LENGTH_MAX).collect::<String>()).to_string().into()
    });

    /// The key of a posting.
    StatedKey(OperationKey), "the key of an operation", with(&schema::text(CODE_LENGTH_MAX), "pattern", KEY_PATTERN),
        |raw| text(raw).and_then(|text| key(&text));

    /// 6 in, 8 out.
    CommandNumber(OperationCmd), "6 or 8", one_of(OperationCmd::ALL.iter().map(|cmd| cmd.number())),
        |raw| raw.parse().ok().and_then(OperationCmd::from_number);

    /// What the money is.
    Purpose(OperationReason), "deposit, withdrawal or reversal", one_of(OperationReason::ALL.iter().map(|one| purpose(*one))),
        |raw| text(raw).and_then(|name| OperationReason::ALL.iter().copied().find(|one| purpose(*one) == &*name));
}

impl Serialize for CommandNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.0.number())
    }
}

impl Serialize for Purpose {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(purpose(self.0))
    }
}

pub(super) fn purpose(reason: OperationReason) -> &'static str {
    match reason {
        OperationReason::Deposit => "deposit",
        OperationReason::Withdrawal => "withdrawal",
        OperationReason::Reversal => "reversal",
    }
}

impl StatedDecimal {
    /// The exact amount; an error where it has more decimals than its currency.
    pub fn exact(&self, currency: Currency) -> Result<Money, AmountError> {
        let (sign, digits) = self.0.strip_prefix('-').map_or((1, &*self.0), |digits| (-1, digits));
        Ok(Money::new(sign * parse_minor(digits, currency.exponent())?, currency))
    }

    /// The largest amount of the currency that is not larger: a balance may have decimals that no posting can have.
    pub fn rounded_down(&self, currency: Currency) -> Result<Money, AmountError> {
        let places = usize::from(currency.exponent());
        let (whole, fraction) = self.0.split_once('.').unwrap_or((&self.0, ""));
        let (kept, cut) = fraction.split_at(fraction.len().min(places));
        let kept = if kept.is_empty() { Self(whole.into()) } else { Self(format!("{whole}.{kept}").into()) };
        let money = kept.exact(currency)?;
        let is_below = self.0.starts_with('-') && cut.bytes().any(|digit| digit != b'0');
        Ok(Money::new(money.minor - i64::from(is_below), currency))
    }
}

fn is_decimal(text: &str) -> bool {
    let digits =
        |text: &str, most: usize| (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    digits(whole.strip_prefix('-').unwrap_or(whole), WHOLE_DIGITS)
        && fraction.is_none_or(|fraction| digits(fraction, FRACTION_DIGITS))
}

/// A key as the pattern has it; blanks around it make it another one.
pub fn key(text: &str) -> Option<OperationKey> {
    let fits = match text.split_once(':') {
        Some((reference, ordinal)) => reference.len() == Reference::LENGTH_MAX && ordinal.len() <= ORDINAL_DIGITS,
        None => text.len() <= ID_DIGITS,
    };
    fits.then(|| OperationKey::read(text)).flatten()
}

/// Whether a text may be an instance or a cursor.
pub fn is_mark(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    text.len() <= CODE_LENGTH_MAX && text.bytes().all(known)
}

fn text(raw: &str) -> Option<Box<str>> {
    serde_json::from_str(raw).ok()
}

/// A text that operators see.
pub(super) fn code(raw: &str) -> Option<Box<str>> {
    text(raw).filter(|text| text.len() <= CODE_LENGTH_MAX && check_code(text).is_ok())
}

/// Words of the protocol as types: the name of a call or of a result.
macro_rules! words {
    ($($name:ident = $word:literal;)*) => {$(
        #[doc = concat!("The word `", $word, "`.")]
        pub struct $name;

        impl Described for $name {
            fn schema() -> Schema {
                one_of([$word])
            }
        }

        impl FieldValue for $name {
            const MISSING: &'static str = "is missing";

            fn read(raw: &RawValue) -> Result<Self, Problem> {
                if text(raw.get()).as_deref() == Some($word) { Ok(Self) } else { Err(Cow::Borrowed(concat!("must be ", $word))) }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str($word)
            }
        }
    )*};
}

words! {
    IdentityWord = "identity";
    HealthWord = "health";
    CustomerWord = "customer";
    AccountWord = "account";
    GroupsWord = "groups";
    PostWord = "post";
    FindWord = "find";
    VoidWord = "void";
    PostingsWord = "postings";
    RateWord = "rate";
    ReadyWord = "ready";
    NotReadyWord = "not_ready";
    PostedWord = "posted";
    RefusedWord = "refused";
    ConflictWord = "conflict";
    NoneWord = "none";
}

/// A reference is the first part of a key.
const _: () = assert!(Reference::LENGTH_MAX == 20, "the pattern of a key has its length");

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn usd(text: &str) -> (Option<i64>, Option<i64>) {
        let currency = Currency::from_code("USD").unwrap();
        let stated = StatedDecimal(text.into());
        (
            stated.exact(currency).ok().map(|money| money.minor),
            stated.rounded_down(currency).ok().map(|money| money.minor),
        )
    }

    #[test]
    fn a_decimal_is_exact_or_is_rounded_down_and_never_a_float() {
        for (text, exact, down) in [
            ("250.0", Some(25_000), 25_000),
            ("-250.5", Some(-25_050), -25_050),
            ("0", Some(0), 0),
            ("-0.05", Some(-5), -5),
            ("9007199254740.93", Some(900_719_925_474_093), 900_719_925_474_093),
            ("0.10000000", Some(10), 10),
            ("120.999", None, 12_099),
            ("-0.001", None, -1),
            ("-1.2300", Some(-123), -123),
            ("-1.2301", None, -124),
        ] {
            assert!(is_decimal(text), "{text}");
            assert_eq!(usd(text), (exact, Some(down)), "{text}");
        }
        for wrong in ["", "-", "+1", "1e2", ".5", "1.", "1.123456789", "12345678901234567", " 1", "1,5", "--1", "NaN"] {
            assert!(!is_decimal(wrong), "{wrong}");
        }
    }

    #[test]
    fn the_page_lists_the_decimals_of_every_currency() {
        const PAGE: &str = include_str!("../../../../docs/trading-server.md");
        let (_, table) = PAGE.split_once("| Decimals | Currency |\n|---|---|\n").unwrap();
        let mut listed = BTreeMap::new();
        for line in table.lines().take_while(|line| line.starts_with('|')) {
            let mut cells = line.split('|').map(str::trim).skip(1);
            let decimals: u8 = cells.next().unwrap().parse().unwrap();
            listed.extend(cells.next().unwrap().split('`').skip(1).step_by(2).map(|code| (code.to_owned(), decimals)));
        }
        let letters = || (b'A'..=b'Z').map(char::from);
        let codes = letters().flat_map(|a| letters().flat_map(move |b| letters().map(move |c| format!("{a}{b}{c}"))));
        let known =
            codes.chain(listed.keys().cloned()).filter_map(|code| Some((Currency::from_code(&code)?.exponent(), code)));
        let known: BTreeMap<String, u8> =
            known.filter(|(decimals, _)| *decimals != 2).map(|(decimals, code)| (code, decimals)).collect();
        assert_eq!(listed, known);
    }

    #[test]
    fn a_key_is_read_where_it_is_of_the_pattern() {
        let reference = "d3k9x0p7m2q4r8s6t1vw";
        for right in ["7", "9007199254740991", &format!("{reference}:1"), &format!("{reference}:4294967295")] {
            assert_eq!(key(right).as_ref().map(OperationKey::as_str), Some(right));
        }
        let longer = format!("{reference}0:1");
        let blank = format!(" {}:1", &reference[1..]);
        let alone = format!("{reference}:");
        for wrong in [
            "",
            "test",
            "test:1",
            "a:1",
            "-7",
            "12345678901234567",
            reference,
            &longer,
            &alone,
            &blank,
            &format!("{reference}:1:2"),
            &format!("{reference}:x"),
            &format!("{reference}:12345678901"),
            &format!("{reference}:1 "),
            "7 ",
        ] {
            assert_eq!(key(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_rate_has_at_most_eighteen_digits_in_all() {
        let read = |text: &str| StatedPrice::read(serde_json::from_str(&format!("\"{text}\"")).unwrap()).is_ok();
        for right in ["1.0842", "999999999999999999", "0.00000000000000001", "123456789.123456789", "00.10"] {
            assert!(read(right), "{right}");
        }
        for wrong in
            ["0", "0.0", "1234567890123456789", "0.000000000000000001", "1.", ".5", "-1", "+1", "1e2", "1,5", ""]
        {
            assert!(!read(wrong), "{wrong}");
        }
    }

    #[test]
    fn an_amount_that_is_a_number_is_refused() {
        let read = |json: &str| StatedDecimal::read(serde_json::from_str(json).unwrap()).map(|read| read.0.to_string());
        assert_eq!(read("\"12.5\"").as_deref(), Ok("12.5"));
        assert!(read("12.5").unwrap_err().contains("in a string"));
    }
}
