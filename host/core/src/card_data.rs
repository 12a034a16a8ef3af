//! Card data in texts: numbers written as on a card, and how logs mask digits. Fields that are named so are `card_field`'s.

use std::borrow::Cow;
use std::ops::RangeInclusive;

/// How many digits a card number has; those of Visa alone may have the fewest.
const DIGITS: RangeInclusive<usize> = 13..=19;

/// Digits that a mask leaves at both ends: what PCI DSS allows to be shown, enough to search an order id by.
const HEAD_SHOWN: usize = 6;
const TAIL_SHOWN: usize = 4;

/// A word of hexadecimal digits of this length is a hash or an id: it is not masked.
const HASH_LENGTH: usize = 24;

/// How many blanks or dashes may stand between two groups of a card number.
const SEPARATORS: usize = 3;

/// Why a text is refused, behind its name; it repeats nothing of the text.
pub const NUMBER_PROBLEM: &str =
    "holds a number written like a payment card's: no card data may be sent or stored here";

/// Whether the text has a number with the prefix and length of a card brand, in the groups that stand on the card: 4-4-4-4
/// (19 digits: with 3 more), 4-6-5 and 4-6-4, separated by blanks or dashes.
///
/// Groups of a longer identifier (an IBAN, a UUID) are no card's: where a part with letters and digits is joined to them by
/// blanks or dashes. Beside further groups of digits the number counts where it passes the checksum of card numbers.
pub fn holds_card_number(text: &str) -> bool {
    let found = card_numbers(text);
    if found.is_empty() {
        return false;
    }
    let parts = parts(text);
    found.into_iter().any(|(begin, end)| match surroundings(&parts, begin, end) {
        Surroundings::Alone => true,
        Surroundings::FurtherGroups => text.get(begin..end).is_some_and(|number| {
            passes_checksum(&signs(number).filter_map(|sign| digit(sign.1)).collect::<Vec<u8>>())
        }),
        Surroundings::Identifier => false,
    })
}

/// What stands beside a number, with only blanks or dashes between.
enum Surroundings {
    Alone,
    /// Digits in groups as long as a card's.
    FurtherGroups,
    /// A part with letters and digits.
    Identifier,
}

/// A run of letters and digits.
struct Part {
    end: usize,
    digits: usize,
    has_letters: bool,
    joined_to_next: bool,
}

fn parts(text: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut joined = true;
    for (at, sign, end) in signs(text) {
        if !sign.is_alphanumeric() {
            joined &= is_separator(sign);
            continue;
        }
        let is_digit = digit(sign).is_some();
        match parts.last_mut().filter(|part| part.end == at) {
            Some(part) => {
                part.end = end;
                part.digits += usize::from(is_digit);
                part.has_letters |= !is_digit;
            }
            None => {
                if let Some(before) = parts.last_mut() {
                    before.joined_to_next = joined;
                }
                let digits = usize::from(is_digit);
                parts.push(Part { end, digits, has_letters: !is_digit, joined_to_next: false });
            }
        }
        joined = true;
    }
    parts
}

fn surroundings(parts: &[Part], begin: usize, end: usize) -> Surroundings {
    const GROUP: usize = 4;
    let first = parts.partition_point(|part| part.end <= begin);
    let last = parts.partition_point(|part| part.end < end);
    let before = parts.get(..first).unwrap_or_default().iter().rev().take_while(|part| part.joined_to_next);
    let inside = parts.get(first..=last).unwrap_or_default();
    let joined_after = inside.last().is_some_and(|part| part.joined_to_next);
    let mut goes_on = joined_after;
    let after = parts
        .get(last + 1..)
        .unwrap_or_default()
        .iter()
        .take_while(move |part| std::mem::replace(&mut goes_on, part.joined_to_next));
    // A word ends the chain on either side.
    let chain = |part: &&Part| part.digits > 0;
    let beside: Vec<&Part> = before.take_while(chain).chain(after.take_while(chain)).collect();
    // Digits that stand in the same part as the first or the last group, and do not belong to it.
    let more = |part: &Part| part.has_letters && part.digits > GROUP + 1;
    if beside.iter().any(|part| part.has_letters) || inside.iter().any(more) {
        Surroundings::Identifier
    } else if beside.iter().any(|part| part.digits >= GROUP) {
        Surroundings::FurtherGroups
    } else {
        Surroundings::Alone
    }
}

/// A run of digits, and whether only blanks or dashes stand between it and the next.
struct Run {
    begin: usize,
    end: usize,
    digits: Vec<u8>,
    joined_to_next: bool,
}

/// The places of card numbers in groups.
fn card_numbers(text: &str) -> Vec<(usize, usize)> {
    const SHAPES: [&[usize]; 4] = [&[4, 4, 4, 4, 3], &[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4]];
    let runs = runs(text);
    let mut found: Vec<(usize, usize)> = Vec::new();
    for at in 0..runs.len() {
        let rest = runs.get(at..).unwrap_or_default();
        let shape = SHAPES.into_iter().find(|shape| {
            let Some(groups) = rest.get(..shape.len()) else { return false };
            let (Some((_, inner)), digits) = (groups.split_last(), groups.iter().flat_map(|run| &run.digits)) else {
                return false;
            };
            groups.iter().map(|run| run.digits.len()).eq(shape.iter().copied())
                && inner.iter().all(|run| run.joined_to_next)
                && is_of_a_brand(&digits.copied().collect::<Vec<u8>>())
        });
        let last = shape.and_then(|shape| rest.get(shape.len() - 1));
        if let (Some(first), Some(last)) = (rest.first(), last)
            && found.last().is_none_or(|(_, end)| *end <= first.begin)
        {
            found.push((first.begin, last.end));
        }
    }
    found
}

fn runs(text: &str) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut between = 0;
    let mut joined = false;
    for (at, sign, end) in signs(text) {
        match (digit(sign), runs.last_mut().filter(|run| run.end == at)) {
            (Some(digit), Some(run)) => {
                run.digits.push(digit);
                run.end = end;
            }
            (Some(digit), None) => {
                if let Some(before) = runs.last_mut() {
                    before.joined_to_next = joined && between <= SEPARATORS;
                }
                runs.push(Run { begin: at, end, digits: vec![digit], joined_to_next: false });
            }
            (None, after_run) => {
                (between, joined) = if after_run.is_some() { (1, true) } else { (between + 1, joined) };
                joined &= is_separator(sign);
            }
        }
    }
    runs
}

/// The characters of a text with their places, those of a URL as they are read: `%20` is one, and so is `%2520`, which is
/// escaped twice.
fn signs(text: &str) -> impl Iterator<Item = (usize, char, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let begin = at;
        let rest = text.get(begin..)?;
        let sign = rest.chars().next()?;
        let (sign, length) = unescaped(rest).unwrap_or((sign, sign.len_utf8()));
        at += length;
        Some((begin, sign, at))
    })
}

/// The character that a text begins with, where its bytes are written as `%XX`, and how long it is written.
fn unescaped(text: &str) -> Option<(char, usize)> {
    let (mut bytes, mut length) = ([0; 4], 0);
    for count in 0..bytes.len() {
        let (byte, written) = escaped_byte(text.get(length..)?)?;
        *bytes.get_mut(count)? = byte;
        length += written;
        match std::str::from_utf8(bytes.get(..=count)?) {
            Ok(whole) => return whole.chars().next().map(|sign| (sign, length)),
            Err(error) if error.error_len().is_some() => return None,
            Err(_) => {}
        }
    }
    None
}

fn escaped_byte(text: &str) -> Option<(u8, usize)> {
    let mut rest = text.strip_prefix('%')?;
    let hex = |rest: &str| {
        let digits = rest.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        u8::from_str_radix(digits, 16).ok()
    };
    // A percent sign is itself escaped as often as the text is.
    while let Some(inner) = rest.strip_prefix("25").filter(|inner| hex(inner).is_some()) {
        rest = inner;
    }
    hex(rest).map(|byte| (byte, text.len() - rest.len() + 2))
}

/// The same text with what is escaped as in URLs written out.
pub fn percent_decoded(text: &str) -> String {
    signs(text).map(|(_, sign, _)| sign).collect()
}

/// The value of a decimal digit, as a person may type it on any keyboard.
pub(crate) fn digit(sign: char) -> Option<u8> {
    if sign.is_ascii() {
        return u8::try_from(sign.to_digit(10)?).ok();
    }
    let code = u32::from(sign);
    let before = ZEROS.get(..ZEROS.partition_point(|zero| *zero <= code))?;
    let value = code - before.last()?;
    u8::try_from(value).ok().filter(|value| *value < 10)
}

/// The digit 0 of each script that has decimal digits of its own, from Arabic to the mathematical ones; nine more follow each.
const ZEROS: &[u32] = &[
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0, 0xf20,
    0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0,
    0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x1d7ce, 0x1d7d8,
    0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1fbf0,
];

pub(crate) fn is_separator(sign: char) -> bool {
    // A form writes a blank as `+`.
    sign.is_whitespace() || matches!(sign, '-' | '+' | '\u{ad}' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{200b}')
}

/// Whether a card brand issues numbers of this length that begin so.
fn is_of_a_brand(digits: &[u8]) -> bool {
    let prefix = |length: usize| {
        digits.iter().take(length).fold(0_u32, |number, digit| number.saturating_mul(10) + u32::from(*digit))
    };
    match digits.len() {
        // American Express.
        15 => matches!(prefix(2), 34 | 37),
        // Diners Club.
        14 => matches!(prefix(2), 36 | 38 | 39) || matches!(prefix(3), 300..=305 | 309),
        // Visa, Mastercard, JCB, Discover, UnionPay, Maestro, Mir, RuPay, Troy.
        16 | 19 => {
            matches!(prefix(1), 4 | 6)
                || matches!(prefix(2), 50..=58)
                || matches!(prefix(4), 2200..=2204 | 2221..=2720 | 3528..=3589 | 8100..=8171 | 9792)
        }
        _ => false,
    }
}

/// The text with the middle of each number masked that may be a card's: in card groups, or 14 to 19 digits (13 of Visa) that
/// pass the checksum of card numbers. One order id in ten passes it too, and is masked as well.
pub fn masked(text: &str) -> Cow<'_, str> {
    let may_be_digit = |byte: &u8| byte.is_ascii_digit() || !byte.is_ascii();
    if text.bytes().filter(may_be_digit).count() < *DIGITS.start() {
        return Cow::Borrowed(text);
    }
    let mut places = card_numbers(text);
    places.extend(unbroken(text));
    if places.is_empty() {
        return Cow::Borrowed(text);
    }
    places.sort_unstable();
    let mut out = String::with_capacity(text.len());
    let mut rest_from = 0;
    for (begin, end) in places {
        let Some(number) = text.get(begin..end).filter(|_| begin >= rest_from) else { continue };
        out.push_str(text.get(rest_from..begin).unwrap_or_default());
        let count = signs(number).filter(|(_, sign, _)| digit(*sign).is_some()).count();
        let mut nth = 0;
        for (at, sign, end) in signs(number) {
            let is_digit = digit(sign).is_some();
            let hidden = is_digit && nth >= HEAD_SHOWN && nth + TAIL_SHOWN < count;
            out.push_str(if hidden { "*" } else { number.get(at..end).unwrap_or_default() });
            nth += usize::from(is_digit);
        }
        rest_from = end;
    }
    out.push_str(text.get(rest_from..).unwrap_or_default());
    Cow::Owned(out)
}

/// The places of unbroken numbers that pass the checksum, outside hashes.
fn unbroken(text: &str) -> Vec<(usize, usize)> {
    let is_card = |run: &Run| {
        let is_shortest = run.digits.len() == *DIGITS.start();
        DIGITS.contains(&run.digits.len())
            && (!is_shortest || run.digits.first() == Some(&4))
            && passes_checksum(&run.digits)
            && !is_within_hash(text, run)
    };
    runs(text).iter().filter(|run| is_card(run)).map(|run| (run.begin, run.end)).collect()
}

/// Whether the word around a number is one of hexadecimal digits that is as long as a hash.
fn is_within_hash(text: &str, run: &Run) -> bool {
    let is_of_word = |sign: &char| sign.is_ascii_alphanumeric();
    let before = text.get(..run.begin).unwrap_or_default().chars().rev().take_while(is_of_word);
    let after = text.get(run.end..).unwrap_or_default().chars().take_while(is_of_word);
    let (mut length, mut is_hex) = (run.digits.len(), true);
    for sign in before.chain(after) {
        length += 1;
        is_hex &= sign.is_ascii_hexdigit();
    }
    is_hex && length > run.digits.len() && length >= HASH_LENGTH
}

/// The checksum of card numbers (Luhn, ISO/IEC 7812-1).
fn passes_checksum(number: &[u8]) -> bool {
    let digits = number.iter().rev().enumerate().map(|(place, digit)| {
        let digit = u32::from(*digit);
        let doubled = if place % 2 == 1 { digit * 2 } else { digit };
        if doubled > 9 { doubled - 9 } else { doubled }
    });
    digits.sum::<u32>() % 10 == 0
}
