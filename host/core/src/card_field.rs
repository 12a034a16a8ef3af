//! Names under which integrators send card data, and whether the value beside one is such. It parses no JSON; `wire` finds
//! names and values in an object.

use std::ops::RangeInclusive;

use crate::card_data::{digit, is_separator};

/// Names of card numbers, in lower case without separators.
const NUMBER_NAMES: &[&str] = &["pannumber", "primaryaccountnumber", "cardnr", "cardnum", "ccno", "ccnum", "ccnumber"];

/// Names of the code on a card. What stands on its back or strip may never be stored, not even sealed.
const CODE_NAMES: &[&str] =
    &["cvn", "cvn2", "cav2", "cardcode", "verificationvalue", "cardverification", "cardverificationcode"];

const TRACK_NAMES: &[&str] = &["track1", "track2", "trackdata", "track1data", "track2data", "magstripe", "pinblock"];

/// Names that say so also at the end of a longer one, such as `customer_card_number`.
const NUMBER_ENDINGS: &[&str] = &["cardnumber", "cardno"];
const CODE_ENDINGS: &[&str] = &["securitycode", "cardverificationvalue", "cardverificationnumber", "cvv2", "cvc2"];

/// Last words that say so behind others, such as `card.pan` and `cardCVV`; `japan` and `cvv_result` do not.
const NUMBER_WORDS: &[&str] = &["pan"];
const CODE_WORDS: &[&str] = &["cvv", "cvc", "csc"];

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
        let last = last_word(name).to_lowercase();
        let is_in = |words: &[&str]| words.contains(&&*plain);
        let is_last = |words: &[&str]| is_in(words) || words.contains(&&*last);
        let before = NUMBER_ENDINGS.iter().find_map(|ending| plain.strip_suffix(ending));
        let of_other = |before: &str| OTHER_CARDS.iter().any(|other| before.ends_with(other));
        if is_in(NUMBER_NAMES) || is_last(NUMBER_WORDS) || before.is_some_and(|before| !of_other(before)) {
            Some(Self::Number)
        } else if is_in(CODE_NAMES) || is_last(CODE_WORDS) || CODE_ENDINGS.iter().any(|ending| plain.ends_with(ending))
        {
            Some(Self::Code)
        } else {
            is_in(TRACK_NAMES).then_some(Self::Track)
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
