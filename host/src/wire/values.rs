//! The values of requests: ids, flags, times, published numbers, codes and texts by length, exact amounts. Each reads
//! itself from its own text, says what is wrong behind its field's name, and describes its limits.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use cashier_core::ids::ID_MAX;
use cashier_core::lengths::{CODE_LENGTH_MAX, COMMENT_LENGTH_MAX, OBJECT_TEXT_LENGTH_MAX, URL_LENGTH_MAX};
use cashier_core::money::{self, Currency, Limit, Money};
use cashier_core::printable::check_code;
use cashier_core::provider_config::Secret;
use cashier_core::refusal::Refusal;
use cashier_core::time::UnixTime;
use serde_json::value::RawValue;

use crate::json_object::schema::{self, kind, one_of, with};
use crate::json_object::{Described, FieldValue, Problem, Schema, shown, values};
use crate::text_file::trimmed;
use crate::web_url;
use crate::wire::read::check;
use crate::wire::{card_scan, object_text};

/// Latest moment accepted, 9999-12-31: beyond it calendars of clients break.
const TIME_MAX: i64 = 253_402_300_799;

/// Sort places: far more than configs, and within every client's integers.
const SORT_INDEX_MAX: i64 = 1_000_000_000;

/// Longest name of a field of a config, with the key of a setting in it.
const FIELD_NAME_LENGTH_MAX: usize = 128;

/// Longest credential: PEM keys of 4096 bits fit twice.
pub const CREDENTIAL_LENGTH_MAX: usize = 8 * 1024;

values! {
    /// An id, or 0 for none.
    Id(u64), schema::whole(0, ID_MAX.cast_signed()), |raw| id(raw);

    /// The id of a row of ours, where 0 is the same as none.
    RowId(u64), Id::schema(), |raw| id(raw), { fn given(self) -> Option<Self> { (self.0 != 0).then_some(self) } };

    /// The login of a trading account, which is never 0.
    LoginId(u64), schema::whole(1, ID_MAX.cast_signed()), |raw| id(raw), {
        fn given(self) -> Option<Self> { (self.0 != 0).then_some(self) }
    };

    /// The id that is the whole request.
    RecordId(u64), LoginId::schema(), |raw| id(raw).ok().filter(|id| *id > 0).ok_or(Cow::Borrowed(Self::MISSING)), {
        const MISSING: &'static str = "is missing or invalid";
    };

    /// 0 or 1.
    Flag(bool), schema::whole(0, 1), |raw| whole(raw, 0..=1).map(|flag| flag == 1);

    /// Unix seconds, 0 for unset.
    Time(UnixTime), schema::whole(0, TIME_MAX), |raw| whole(raw, 0..=TIME_MAX).map(UnixTime);

    /// Where a config stands among others.
    SortIndex(i64), schema::whole(-SORT_INDEX_MAX, SORT_INDEX_MAX), |raw| whole(raw, -SORT_INDEX_MAX..=SORT_INDEX_MAX);

    /// A string of at most `MAX` bytes without control characters other than line ends and tabs.
    Text<MAX>(Box<str>), schema::text(MAX), |raw| text(raw, MAX);

    /// Free text of a person, without card data.
    Comment(Box<str>), schema::text(COMMENT_LENGTH_MAX), |raw| {
        let text = text(raw, COMMENT_LENGTH_MAX)?;
        card_scan::check_text(&text).map(|()| text)
    };

    /// The same of at most `MAX` bytes.
    FreeText<MAX>(Box<str>), schema::text(MAX), |raw| {
        let text = text(raw, MAX)?;
        card_scan::check_text(&text).map(|()| text)
    };

    /// The same where it must say something.
    RequiredComment(Box<str>), with(&Comment::schema(), "minLength", 1), |raw| Comment::read(raw).map(|text| text.0), {
        fn given(self) -> Option<Self> { (!self.0.trim().is_empty()).then_some(self) }
    };

    /// The same of an order, which is refused for card data only where it is new.
    OrderComment(Judged), Comment::schema(), |raw| {
        let text = text(raw, COMMENT_LENGTH_MAX)?;
        Ok::<_, Problem>(Judged { problem: card_scan::check_text(&text).err(), text })
    };

    /// A code: at most `MAX` bytes on one line of characters that are seen, no spaces at its ends, no card number.
    Code<MAX>(Box<str>), schema::text(MAX), |raw| code(raw, MAX);

    /// A code that is not empty.
    ProviderCode(Box<str>), with(&schema::text(CODE_LENGTH_MAX), "minLength", 1), |raw| code(raw, CODE_LENGTH_MAX), {
        fn given(self) -> Option<Self> { (!self.0.is_empty()).then_some(self) }
    };

    /// A known currency by its code.
    CurrencyCode(Currency), schema::text(money::CODE_LENGTH_MAX), |raw| {
        let code = code(raw, CODE_LENGTH_MAX)?;
        Currency::from_code(&code).ok_or_else(|| Cow::Owned(format!("{} is not a known currency", shown(&code))))
    };

    /// ISO 3166 alpha-2, or empty for any; the judge of edits checks it with the rest of the row.
    Country(Box<str>), with(&schema::text(2), "pattern", "^([A-Z]{2})?$"), |raw| code(raw, CODE_LENGTH_MAX);

    /// A number by its own text; which amount it is, its currency decides.
    DecimalText(Cow<'static, str>), kind("number"), |raw| Ok(Cow::Owned(raw.get().to_owned()));

    /// A limit: a plain decimal of at most eight decimals; 0 is none.
    LimitAmount(Limit), with(&kind("number"), "minimum", 0), |raw| {
        Limit::parse(raw.get()).map_err(|error| Cow::Owned(error.to_string()))
    };

    /// Settings, a JSON object written as a string; `""` is the empty object.
    ObjectText<MAX>(Box<str>), schema::text(MAX), |raw| {
        object(raw, MAX).and_then(|text| Ok(object_text::trimmed_values(&text)?.as_str().into()))
    };

    /// Metadata of a client's: an object as a string that leaves the server's own key alone.
    Metadata(Judged), schema::text(OBJECT_TEXT_LENGTH_MAX), |raw| {
        let text = object(raw, OBJECT_TEXT_LENGTH_MAX)?;
        object_text::check_metadata(&text)?;
        Ok::<_, Problem>(Judged { problem: card_scan::check_object(&text).err(), text })
    };

    /// Metadata as a manager writes it: of the server's own key in it nothing is read.
    ManagedMetadata(Box<str>), schema::text(OBJECT_TEXT_LENGTH_MAX), |raw| {
        let text = object(raw, OBJECT_TEXT_LENGTH_MAX)?;
        card_scan::check_object(&text).map(|()| text)
    };

    /// A secret without the blanks and line ends that it was pasted with; `""` keeps the stored one.
    SecretText(Secret), schema::text(CREDENTIAL_LENGTH_MAX), |raw| {
        text(raw, CREDENTIAL_LENGTH_MAX).map(|text| Secret::new(trimmed(&text)))
    }, { fn given(self) -> Option<Self> { (!self.0.is_empty()).then_some(self) } };

    /// A JSON object as a string that may hold secrets; `""` keeps the stored one.
    SecretObject(Secret), schema::text(OBJECT_TEXT_LENGTH_MAX), |raw| {
        let text = text(raw, OBJECT_TEXT_LENGTH_MAX)?;
        let text = trimmed(&text);
        if text.is_empty() { Ok(Secret::default()) } else { object_text::trimmed_values(text).map(|text| Secret::new(&text)) }
    }, { fn given(self) -> Option<Self> { (!self.0.is_empty()).then_some(self) } };

    /// Where the customer comes back to: `https`, or `http` on this very machine, which the flow allows in sandbox
    /// alone. A URL that parsers may read differently (spaces, user names, characters beyond ASCII) is refused.
    ReturnUrl(Judged), with(&schema::text(URL_LENGTH_MAX), "format", "uri"), |raw| {
        let text: Box<str> = trimmed(&text(raw, URL_LENGTH_MAX)?).into();
        check_return_url(&text)?;
        Ok::<_, Problem>(Judged { problem: card_scan::check_url(&text).err(), text })
    };

    /// A list of at most `MAX` names of fields.
    Names<MAX>(Vec<Box<str>>), with(&schema::list(&schema::text(FIELD_NAME_LENGTH_MAX)), "maxItems", MAX), |raw| {
        let names: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| "must be a list of names")?;
        if names.len() > MAX {
            return Err(Cow::Owned(format!("must name at most {MAX} fields")));
        }
        names.into_iter().map(|name| code(name, FIELD_NAME_LENGTH_MAX)).collect::<Result<_, _>>()
    };

    /// A field of answers that a client may send back with the rest of a row; it passes unread.
    ReadOnly(()), with("{}", "readOnly", true), |_raw| Ok(());

    /// Any JSON, as it is written.
    AnyJson(Box<RawValue>), "{}".to_owned(), |raw| Ok(raw.to_owned());
}

/// A text of an order with what is wrong with it as a new one. An order that an earlier release stored is answered as before.
#[derive(Debug)]
pub struct Judged {
    pub text: Box<str>,
    pub problem: Option<Problem>,
}

fn id(raw: &RawValue) -> Result<u64, Problem> {
    raw.get().parse().ok().filter(|id| *id <= ID_MAX).ok_or(Cow::Borrowed("must be a whole number that is an id"))
}

fn whole(raw: &RawValue, range: RangeInclusive<i64>) -> Result<i64, Problem> {
    let read = raw.get().parse().ok().filter(|number| range.contains(number));
    let (least, most) = range.into_inner();
    read.ok_or_else(|| Cow::Owned(format!("must be a whole number from {least} to {most}")))
}

fn text(raw: &RawValue, length_max: usize) -> Result<Box<str>, Problem> {
    let text: Box<str> = serde_json::from_str(raw.get()).map_err(|_| Cow::Borrowed("must be a string"))?;
    if text.len() > length_max {
        return Err(Cow::Owned(format!("is longer than {length_max} bytes")));
    }
    if text.chars().any(|character| character.is_control() && !matches!(character, '\n' | '\r' | '\t')) {
        return Err(Cow::Borrowed("holds control characters"));
    }
    Ok(text)
}

fn code(raw: &RawValue, length_max: usize) -> Result<Box<str>, Problem> {
    let text = text(raw, length_max)?;
    check_code_text(&text).map(|()| text)
}

/// Whether a text may be a code, wherever it is given.
pub fn check_code_text(text: &str) -> Result<(), Problem> {
    check_code(text)?;
    card_scan::check_text(text)
}

/// A JSON object as a string, which may have been pasted with the byte order mark of its file.
fn object(raw: &RawValue, length_max: usize) -> Result<Box<str>, Problem> {
    let text: Box<str> = trimmed(&text(raw, length_max)?).into();
    if text.is_empty() { Ok(object_text::EMPTY.into()) } else { check(&text).map(|_| text.clone()) }
}

fn check_return_url(text: &str) -> Result<(), Problem> {
    if text.is_empty() {
        return Ok(());
    }
    let url = web_url::parse(text).map_err(|reason| Cow::Owned(format!("must be an https URL: it {reason}")))?;
    match url.scheme() == "https" || web_url::is_loopback(&url) {
        true => Ok(()),
        false => Err(Cow::Borrowed("must be an https URL")),
    }
}

impl DecimalText {
    /// The positive amount that it is in a currency; `name` is its field's.
    pub fn of(&self, name: &str, currency: Currency) -> Result<Money, Refusal> {
        Money::parse_positive(&self.0, currency).map_err(|error| Refusal::invalid(format!("{name} {error}")))
    }
}

/// A number that stands for one of the published values of an enum.
#[derive(Debug)]
pub struct Numbered<E>(pub E);

/// An enum whose values have published numbers.
pub trait PublishedNumber: Copy + 'static {
    const VALUES: &'static [Self];

    fn published(self) -> u8;
}

impl<E: PublishedNumber> Described for Numbered<E> {
    fn schema() -> Schema {
        one_of(E::VALUES.iter().map(|value| value.published()))
    }
}

impl<E: PublishedNumber> FieldValue for Numbered<E> {
    fn read(raw: &RawValue) -> Result<Self, Problem> {
        let numbers = || E::VALUES.iter().map(|value| i64::from(value.published()));
        let number = whole(raw, numbers().min().unwrap_or(0)..=numbers().max().unwrap_or(0))?;
        let known = E::VALUES.iter().find(|value| i64::from(value.published()) == number);
        known.copied().map(Self).ok_or(Cow::Borrowed("is not one of the published numbers"))
    }
}
