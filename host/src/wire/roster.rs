//! The roster of the embedded trading server as described types, for the import file and the manager commands: groups,
//! customers, accounts and rates, each value with the sentence that says what it must be. Numbers are read from their text;
//! whether the entries fit together is judged by the trading server.

use std::borrow::Cow;

use cashier_core::account::AccountMode;
use cashier_core::conversion::Rate;
use cashier_core::ids::ID_MAX;
use cashier_core::lengths::CODE_LENGTH_MAX;
use cashier_core::money::Currency;
use cashier_core::roster::{ImportReport, Tally};
use cashier_core::time::UnixTime;

use crate::json_object::schema::{self, kind, list, object, one_of, with};
use crate::json_object::{Described, Problem, Schema, answer, request, values};
use crate::wire::values::check_code_text;

/// Declares the values of an entry: what each must be, and how it is read.
macro_rules! entry_values {
    ($($name:ident($inner:ty), $must_be:literal, $schema:expr, |$raw:ident| $read:expr;)*) => {
        values! {$(
            $name($inner), $schema, |raw| {
                let $raw = raw.get();
                $read.ok_or(Cow::Borrowed(concat!("must be ", $must_be)))
            }, {
                const MISSING: &'static str = "is missing";
            };
        )*}
    };
}

entry_values! {
    EntryId(u64), "a whole number from 1 to 2^53 - 1", schema::whole(1, ID_MAX.cast_signed()),
        |raw| raw.parse().ok().filter(|id| (1..=ID_MAX).contains(id));
    EntryText(Box<str>), "a text of at most 64 characters", schema::text(CODE_LENGTH_MAX), |raw| code(raw)?;
    GroupName(Box<str>), "a text of at most 64 characters", with(&schema::text(CODE_LENGTH_MAX), "minLength", 1),
        |raw| match code(raw)? {
            Some(name) if name.is_empty() => return Err(Cow::Borrowed("must not be empty")),
            name => name,
        };
    EntryFlag(bool), "0 or 1", one_of([serde_json::Value::from(0), 1.into(), false.into(), true.into()]),
        |raw| match raw {
            "0" | "false" => Some(false),
            "1" | "true" => Some(true),
            _ => None,
        };
    EntryBalance(Box<str>), "a plain decimal number, not quoted", kind("number"), |raw| {
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        plain(raw.strip_prefix('-').unwrap_or(raw)).then(|| raw.into())
    };
    EntryCurrency(Currency), "a currency code such as \"USD\"", schema::text(cashier_core::money::CODE_LENGTH_MAX),
        |raw| text(raw).and_then(|code| Currency::from_code(&code));
    EntryMode(AccountMode), "0 (demo) or 1 (real)", schema::whole(0, 1),
        |raw| raw.parse().ok().and_then(AccountMode::from_number);
    EntryRate(Rate), "a plain decimal greater than zero, in quotes, such as \"1.0832\"", schema::text(CODE_LENGTH_MAX),
        |raw| text(raw).and_then(|text| Rate::parse(&text).ok());
    EntryTime(UnixTime), "whole Unix seconds, or 0", schema::whole(0, ID_MAX.cast_signed()),
        |raw| raw.parse().ok().filter(|time| (0..=ID_MAX.cast_signed()).contains(time)).map(UnixTime);
    EntryStatus(i64), "a whole number", kind("integer"), |raw| raw.parse().ok();
    EntryCountry(Box<str>), "two upper-case letters, or empty", schema::text(2), |raw| {
        let plausible = |code: &str| matches!(code.len(), 0 | 2) && code.bytes().all(|byte| byte.is_ascii_uppercase());
        text(raw).filter(|code| plausible(code))
    };
}

/// A text that is a code; `None` where it is no text of that length.
fn code(raw: &str) -> Result<Option<Box<str>>, Problem> {
    let code = text(raw);
    code.as_deref().map_or(Ok(()), check_code_text)?;
    Ok(code)
}

fn text(raw: &str) -> Option<Box<str>> {
    let text: Box<str> = serde_json::from_str(raw).ok()?;
    (text.chars().count() <= CODE_LENGTH_MAX).then_some(text)
}

request! {
    /// A group of accounts.
    pub struct GroupEntry {
        group: GroupName, "name of the group";
        brand: EntryText, "brand";
        currency: EntryCurrency, "currency of the accounts";
        account_mode: EntryMode, "0 demo, 1 real";
        enable: EntryFlag, "1 when its accounts may be used";
    }

    /// A customer.
    pub struct CustomerEntry {
        customer_id: EntryId, "customer id";
        country: EntryCountry, "ISO 3166 alpha-2; may be empty";
        brand: EntryText, "brand";
        status: EntryStatus, "0 active; any other number bars deposits and withdrawals";
        deposit_allowed: EntryFlag, "1 when deposits are allowed";
        withdrawal_allowed: EntryFlag, "1 when withdrawals are allowed";
    }

    /// An account. Its currency is its group's.
    pub struct AccountLine {
        login: EntryId, "trading account login";
        customer_id: EntryId, "customer who owns it";
        group: EntryText, "name of its group";
        enable: EntryFlag, "1 when it may be used";
        balance: Option<EntryBalance>, "opening balance, 0 by default; counts only when the account is created";
    }
}

request! {
    /// The price of one unit of a currency in another.
    pub struct RateLine {
        from: EntryCurrency, "currency of the deposit";
        to: EntryCurrency, "currency of the account";
        rate: EntryRate, "one unit of `from` in `to`, as a text such as \"1.0832\"";
        source: EntryText, "who stated it";
        time: EntryTime, "when it was stated, in Unix seconds; 0 withdraws it";
    }
}

/// The whole file.
pub fn schema() -> Schema {
    let lists = [
        ("groups", list(&GroupEntry::schema()), "groups of accounts", true),
        ("customers", list(&CustomerEntry::schema()), "customers", true),
        ("accounts", list(&AccountLine::schema()), "accounts", true),
        ("rates", list(&RateLine::schema()), "rates at which deposits in another currency are converted", true),
    ];
    object("Roster", "Groups, customers, accounts and rates for `cashier trading import`.", lists)
}

answer! {
    /// How many rows of one kind were added, updated and unchanged.
    pub struct TallyAnswer<>(tally: Tally) {
        added: u64 = tally.added, "new rows";
        updated: u64 = tally.updated, "rows that changed";
        unchanged: u64 = tally.unchanged, "rows that were so already";
    }

    /// The result of a roster.
    pub struct RosterAnswer<>(report: ImportReport) {
        groups: TallyAnswer = TallyAnswer::new(report.groups), "groups";
        customers: TallyAnswer = TallyAnswer::new(report.customers), "customers";
        accounts: TallyAnswer = TallyAnswer::new(report.accounts), "accounts";
        rates: TallyAnswer = TallyAnswer::new(report.rates), "rates";
    }
}
