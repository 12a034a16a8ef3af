//! Quarantined webhooks that name a payment, by our reference or by an id that its provider gave it, whatever their format. Anybody may
//! write such a name: the newest are read and the others counted, so that they fill no explanation.

use std::collections::BTreeSet;

use cashier_core::explanation::UnverifiedEvent;
use cashier_core::ids::NoticeId;
use rusqlite::Connection;
use sha2::{Digest, Sha256};

use crate::ports::{Fault, PaymentTraces};
use crate::strand::columns::for_each_row;
use crate::strand::rows::{bodies, event};

/// Bytes of an id that is searched for: shorter ones, and those without a digit, are in webhooks about anything.
const NAME_SEARCHED_LENGTH_MIN: usize = 6;

/// The newest that name it, at most `most`, and how many there are. The quarantine is bounded, and so is this.
///
/// # Errors
/// The database cannot be read.
pub(super) fn naming(
    connection: &Connection,
    of: &PaymentTraces,
    most: usize,
) -> Result<(Vec<UnverifiedEvent>, u64), Fault> {
    let sought = SoughtNames::of(of);
    let mut notices = BTreeSet::new();
    let since = of.created_time.0.saturating_sub(1);
    for_each_row(connection, bodies::READ_QUARANTINED, [since], "unproven_notice", |columns| {
        let id: NoticeId = columns.value()?;
        let query: Box<str> = columns.value()?;
        if sought.are_in(columns.blob()?) || sought.are_in(query.as_bytes()) {
            notices.insert(id);
        }
        Ok(())
    })?;
    if notices.is_empty() {
        return Ok((Vec::new(), 0));
    }
    let (mut newest, mut count) = (Vec::new(), 0);
    for_each_row(connection, event::READ_QUARANTINED, [of.brand.as_deref()], event::TABLE, |columns| {
        let known = event::read(columns)?;
        if notices.contains(&known.notice_id) {
            count += 1;
            if newest.len() < most {
                newest.push(known);
            }
        }
        Ok(())
    })?;
    let mut unverified = Vec::with_capacity(newest.len());
    for event in newest.into_iter().rev() {
        unverified.push(UnverifiedEvent { is_cut: is_cut(connection, event.notice_id)?, event });
    }
    Ok((unverified, count))
}

/// Whether the stored body is not the whole one.
fn is_cut(connection: &Connection, notice: NoticeId) -> Result<bool, Fault> {
    let (mut is_cut, id) = (false, notice.0.cast_signed());
    for_each_row(connection, bodies::READ_QUARANTINED_DIGEST, [id], "unproven_notice", |columns| {
        let received: [u8; 32] = columns.bytes()?;
        is_cut = <[u8; 32]>::from(Sha256::digest(columns.blob()?)) != received;
        Ok(())
    })?;
    Ok(is_cut)
}

/// The names of a payment, as they are searched for.
struct SoughtNames {
    reference: Box<[u8]>,
    /// Ids that are one word.
    words: BTreeSet<Box<[u8]>>,
    /// Ids with other characters.
    texts: Vec<Box<[u8]>>,
}

impl SoughtNames {
    fn of(of: &PaymentTraces) -> Self {
        let is_searched =
            |name: &str| name.len() >= NAME_SEARCHED_LENGTH_MIN && name.bytes().any(|byte| byte.is_ascii_digit());
        let names = of.names.iter().filter(|name| is_searched(name)).map(|name| Box::<[u8]>::from(name.as_bytes()));
        let (words, texts): (Vec<_>, Vec<_>) = names.partition(|name| name.iter().all(is_of_word));
        Self { reference: of.reference.as_str().as_bytes().into(), words: words.into_iter().collect(), texts }
    }

    /// The reference anywhere, in any letter case; an id as a whole word.
    fn are_in(&self, bytes: &[u8]) -> bool {
        let has = |text: &[u8], is_same: fn(&[u8], &[u8]) -> bool| {
            !text.is_empty() && bytes.windows(text.len()).any(|part| is_same(part, text))
        };
        has(&self.reference, <[u8]>::eq_ignore_ascii_case)
            || words(bytes).any(|word| self.words.contains(word))
            || self.has_text(bytes)
    }

    /// An id with other characters, as it is or as JSON and URLs write it.
    fn has_text(&self, bytes: &[u8]) -> bool {
        let is_in = |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).any(|part| part == text);
        !self.texts.is_empty() && {
            let plain = unescaped(bytes);
            self.texts.iter().any(|text| is_in(bytes, text) || is_in(&plain, text))
        }
    }
}

/// The bytes without the escapes of URLs, and without the backslash that JSON may have before a slash.
fn unescaped(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut left = bytes;
    while let Some((first, rest)) = left.split_first() {
        let escape = rest.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = escape.filter(|digits| is_escape(digits.as_bytes()));
        if let Some(byte) = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            plain.push(byte);
            left = rest.get(2..).unwrap_or_default();
            continue;
        }
        if *first != b'\\' || rest.first() != Some(&b'/') {
            plain.push(*first);
        }
        left = rest;
    }
    plain
}

/// Two digits behind `%`.
fn is_escape(digits: &[u8]) -> bool {
    digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit)
}

/// Characters of ids that providers give.
fn is_of_word(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-".contains(byte)
}

/// The words of a body or a query. Behind `%` a word begins with two digits of an escape; it is shown with and without them.
fn words(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut next = 0_usize;
    let words = bytes.split(|byte| !is_of_word(byte)).map(move |word| {
        let begin = next;
        next += word.len() + 1;
        (word, begin.checked_sub(1).and_then(|before| bytes.get(before)) == Some(&b'%'))
    });
    let words = words.filter(|(word, _)| word.len() >= NAME_SEARCHED_LENGTH_MIN);
    words.flat_map(|(word, is_behind_percent)| {
        let has_escape = is_behind_percent && word.get(..2).is_some_and(is_escape);
        [Some(word), word.get(2..).filter(|_| has_escape)].into_iter().flatten()
    })
}

#[cfg(test)]
mod tests {
    use cashier_core::ids::{Reference, TransactionId};
    use cashier_core::time::UnixTime;

    use super::*;

    #[test]
    fn a_payment_is_named_by_its_reference_in_any_case_and_by_a_whole_id() {
        let reference = Reference::from_random(7);
        let names = ["pi_123456", "order:77/12", "12345678", "12", "payment"].map(Into::into).to_vec();
        let traces = PaymentTraces { id: TransactionId(1), reference, names, created_time: UnixTime(0), brand: None };
        let (sought, reference) = (SoughtNames::of(&traces), traces.reference.as_str());
        let named = [
            format!(r#"{{"order":"{reference}"}}"#),
            format!("id=x{}-refund-1", reference.to_ascii_uppercase()),
            r#"{"id":"pi_123456"}"#.to_owned(),
            "a=b&id=pi_123456".to_owned(),
            "q=id%3Api_123456%20".to_owned(),
            "pi_123456".to_owned(),
            "<id>order:77/12</id>".to_owned(),
            r#"{"id":"order:77\/12"}"#.to_owned(),
            "id=order%3A77%2F12&a=b%".to_owned(),
            "id=order%3a77/12".to_owned(),
            "q=%2012345678".to_owned(),
        ];
        for body in &named {
            assert!(sought.are_in(body.as_bytes()), "{body}");
        }
        // A longer id, a part of one, an id that is too short, and one that is a plain word.
        let others =
            ["pi_1234567", "xpi_123456", "pi_12345", "12", "payment", "order:77", "", "9912345678", "a=9912345678"];
        for body in others {
            assert!(!sought.are_in(body.as_bytes()), "{body}");
        }
    }
}
