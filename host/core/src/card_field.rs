//! Names under which integrators send card data, and whether the value beside one is such. It parses no JSON; `wire` finds
//! names and values in an object.

use std::ops::RangeInclusive;

use crate::card_data::{digit, is_separator};

/// Names of card numbers, in lower case without separators and numbers behind them.
const NUMBER_NAMES: &[&str] =
    &["pannumber", "primaryaccountnumber", "ccno", "ccnr", "ccnum", "ccnumber", "ccn", "card"];

/// Names of the code on a card. What stands on its back or strip may never be stored, not even sealed.
const CODE_NAMES: &[&str] = &["verificationvalue"];

const TRACK_NAMES: &[&str] = &["track1", "track2", "trackdata", "track1data", "track2data", "magstripe", "pinblock"];

/// Names that say so also at the end of a longer one, such as `customer_card_number`.
const NUMBER_ENDINGS: &[&str] = &["cardnumber", "cardno", "cardnr", "cardnum", "cardpan"];
const PAYING_CARDS: &[&str] = &["creditcard", "debitcard", "bankcard", "paymentcard"];
const CODE_ENDINGS: &[&str] = &["securitycode", "cardcode", "cardcid", "cardsecurity", "cardverification"];

/// Letters that stand in no other word.
const CODE_LETTERS: &[&str] = &["cvv", "cvc"];

/// Last words that say so behind others, such as `card.pan` and `cardCSC`; `japan` does not. Numbers may stand behind them,
/// and behind those of codes [`CODE_SUFFIXES`].
const NUMBER_WORDS: &[&str] = &["pan"];
const CODE_WORDS: &[&str] = &["csc", "ccv", "cvn", "cvd", "cav"];

/// What stands behind the name of a code and says no more than it.
const CODE_SUFFIXES: &[&str] = &["code", "number", "num", "no", "nr", "value"];

/// What stands behind a code in the name of what came of it: `cvv_result` is none.
const OUTCOMES: &[&str] =
    &["result", "response", "status", "check", "match", "require", "length", "attempt", "error", "reason", "time"];

/// What stands before `card` in the names of cards that pay nothing.
const OTHER_CARDS: &[&str] = &[
    "id",
    "identity",
    "identification",
    "loyalty",
    "bonus",
    "gift",
    "sim",
    "member",
    "membership",
    "club",
    "insurance",
    "health",
    "student",
    "library",
    "business",
    "green",
    "residence",
];

/// How many digits a card number has where a field is named so, as strange as its brand may be.
const NAMED_DIGITS: RangeInclusive<usize> = 12..=19;

/// How many digits the code of a card has.
const CODE_DIGITS: RangeInclusive<usize> = 3..=4;

/// What a field holds by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardField {
    Number,
    Code,
    /// What a reader reads off the strip or the keyboard.
    Track,
}

impl CardField {
    /// What a field of this name holds, if its value looks so.
    pub fn named(name: &str) -> Option<Self> {
        let plain: String = name.chars().filter(|sign| sign.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        if is_number(name, &plain) {
            Some(Self::Number)
        } else if is_code(name, &plain) {
            Some(Self::Code)
        } else {
            TRACK_NAMES.contains(&&*plain).then_some(Self::Track)
        }
    }

    /// Whether a value is what the name says: the code of a security, the number of a taxpayer and what is masked are not.
    pub fn may_be(self, value: &str) -> bool {
        let digits = value.chars().filter(|sign| digit(*sign).is_some()).count();
        let digits_alone = value.chars().all(|sign| digit(sign).is_some() || is_separator(sign) || sign == '.');
        match self {
            Self::Number => digits_alone && NAMED_DIGITS.contains(&digits),
            Self::Code => digits_alone && CODE_DIGITS.contains(&digits),
            Self::Track => digits >= *NAMED_DIGITS.start() || is_pin_block(value),
        }
    }
}

fn is_number(name: &str, plain: &str) -> bool {
    let plain = unnumbered(plain);
    NUMBER_NAMES.contains(&plain)
        || NUMBER_WORDS.contains(&unnumbered(&last_word(unnumbered(name)).to_lowercase()))
        || PAYING_CARDS.iter().any(|ending| plain.ends_with(ending))
        || NUMBER_ENDINGS.iter().find_map(|ending| plain.strip_suffix(ending)).is_some_and(|before| !is_other(before))
}

/// Whether a card pays nothing by what stands before it.
fn is_other(before: &str) -> bool {
    OTHER_CARDS.iter().any(|other| before.ends_with(other))
}

fn is_code(name: &str, plain: &str) -> bool {
    let behind = CODE_LETTERS.iter().filter_map(|letters| plain.rsplit_once(letters)).map(|(_, behind)| behind);
    if let Some(behind) = behind.min_by_key(|behind| behind.len()) {
        return !OUTCOMES.iter().any(|word| behind.contains(word));
    }
    // The word before what says no more, as `ccv` in `ccv_code`.
    let (mut plain, mut words) = (unnumbered(plain), unnumbered(name));
    loop {
        if CODE_NAMES.contains(&plain)
            || CODE_WORDS.contains(&plain)
            || CODE_WORDS.contains(&unnumbered(&last_word(words).to_lowercase()))
            || CODE_ENDINGS.iter().find_map(|ending| plain.strip_suffix(ending)).is_some_and(|before| !is_other(before))
        {
            return true;
        }
        let Some(suffix) = CODE_SUFFIXES.iter().find(|suffix| plain.ends_with(**suffix)) else { return false };
        plain = unnumbered(plain.strip_suffix(suffix).unwrap_or_default());
        let letters = words.char_indices().rev().filter(|(_, sign)| sign.is_alphanumeric());
        words = letters.take(suffix.len()).last().and_then(|(at, _)| words.get(..at)).map_or("", unnumbered);
    }
}

/// A name without the number behind it, as of the second of several.
fn unnumbered(name: &str) -> &str {
    name.trim_end_matches(|sign: char| sign.is_ascii_digit() || !sign.is_alphanumeric())
}

/// 8 bytes in hexadecimal.
fn is_pin_block(value: &str) -> bool {
    value.len() == 16 && value.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The last word of a name written with separators or in camel case.
fn last_word(name: &str) -> &str {
    let separated = name.split(|sign: char| !sign.is_alphanumeric()).rfind(|word| !word.is_empty()).unwrap_or_default();
    let mut begin = 0;
    let mut before = None;
    for (at, sign) in separated.char_indices() {
        if sign.is_uppercase() && before.is_some_and(char::is_lowercase) {
            begin = at;
        }
        before = Some(sign);
    }
    separated.get(begin..).unwrap_or_default()
}
