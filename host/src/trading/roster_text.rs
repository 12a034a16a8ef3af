//! The text of a roster: groups, customers, accounts and rates as JSON. It is read whole before anything is applied, and every mistake
//! is named with its line, row and field.

use std::fmt;

use cashier_core::account::{Customer, Group};
use cashier_core::conversion::StatedRate;
use cashier_core::ids::{CustomerId, Login};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::rates::RateEntry;
use super::requests::RosterError;
use super::roster::{AccountEntry, Mistake, Roster, Section};
use crate::json_object::{Members, Problem, RequestBody};
use crate::ports::{Fault, RosterMistake, RosterRefusal};
use crate::wire::roster::{AccountLine, CustomerEntry, GroupEntry, RateLine};

/// The most mistakes in one report: further ones often follow from the first.
pub const MISTAKES_MAX: usize = 50;

/// Why a file was not imported. Nothing of it was written.
#[derive(Debug)]
pub enum ImportError {
    /// The file cannot be read, or is too large.
    Unreadable(String),
    /// The file is not JSON, or not a roster.
    NotARoster(String),
    /// What is wrong with which entry, at most [`MISTAKES_MAX`].
    Mistakes(Vec<Mistake>),
    /// It would change something else than what was judged.
    Stale,
    /// The trading server could not write.
    Fault(Fault),
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(problem) | Self::NotARoster(problem) => f.write_str(problem),
            Self::Mistakes(mistakes) => {
                f.write_str("nothing was imported:")?;
                mistakes.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
            }
            Self::Stale => f.write_str("nothing was imported: rows changed in between"),
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for ImportError {}

impl From<ImportError> for RosterRefusal {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Unreadable(what) | ImportError::NotARoster(what) => {
                Self::Mistakes(vec![RosterMistake { with_row: what.clone(), what }])
            }
            ImportError::Mistakes(mistakes) => Self::Mistakes(mistakes.iter().map(Mistake::shown).collect()),
            ImportError::Stale => Self::Stale,
            ImportError::Fault(fault) => Self::Fault(fault),
        }
    }
}

/// Reads the text, and has it applied or judged.
pub(super) fn apply_text<T>(
    text: &str,
    apply: impl FnOnce(Roster) -> Result<T, RosterError>,
) -> Result<T, ImportError> {
    let lists = RosterLists::read(text)?;
    let mut mistakes = Vec::new();
    let roster = Roster {
        groups: entries::<GroupEntry, _>(Section::Groups, &lists.groups, &mut mistakes),
        customers: entries::<CustomerEntry, _>(Section::Customers, &lists.customers, &mut mistakes),
        accounts: entries::<AccountLine, _>(Section::Accounts, &lists.accounts, &mut mistakes),
        rates: entries::<RateLine, _>(Section::Rates, &lists.rates, &mut mistakes),
    };
    let applied = if mistakes.is_empty() { apply(roster) } else { Err(RosterError::Mistakes(mistakes)) };
    applied.map_err(|error| match error {
        RosterError::Mistakes(mut mistakes) => {
            mistakes.truncate(MISTAKES_MAX);
            for mistake in &mut mistakes {
                mistake.line = lists.line(text, mistake.section, mistake.index);
            }
            ImportError::Mistakes(mistakes)
        }
        RosterError::Stale => ImportError::Stale,
        RosterError::Fault(fault) => ImportError::Fault(fault),
    })
}

/// The lists of the file, their entries unread. Every list may be missing, or `null`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RosterLists<'a> {
    #[serde(borrow, default, deserialize_with = "list")]
    groups: Vec<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "list")]
    customers: Vec<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "list")]
    accounts: Vec<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "list")]
    rates: Vec<&'a RawValue>,
}

fn list<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<&'a RawValue>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl<'a> RosterLists<'a> {
    fn read(text: &'a str) -> Result<Self, ImportError> {
        let not_a_roster = |problem: String| {
            ImportError::NotARoster(format!("not a file of groups, customers and accounts: {problem}"))
        };
        // Serde would read an array as the lists in their order.
        if !text.trim_start().starts_with('{') {
            return Err(not_a_roster("it is not a JSON object".into()));
        }
        serde_json::from_str(text).map_err(|error| not_a_roster(error.to_string()))
    }

    /// The line of an entry, counted from the beginning of `text`: only mistakes need it.
    fn line(&self, text: &str, section: Section, index: usize) -> usize {
        let entries = match section {
            Section::Groups => &self.groups,
            Section::Customers => &self.customers,
            Section::Accounts => &self.accounts,
            Section::Rates => &self.rates,
        };
        let begin = entries.get(index).map_or(text.as_ptr(), |entry| entry.get().as_ptr());
        let before = text.as_bytes().get(..begin.addr().saturating_sub(text.as_ptr().addr())).unwrap_or_default();
        1 + before.iter().filter(|&&byte| byte == b'\n').count()
    }
}

fn entries<E: RequestBody, T: From<E>>(section: Section, raw: &[&RawValue], mistakes: &mut Vec<Mistake>) -> Vec<T> {
    let mut entries = Vec::with_capacity(raw.len());
    for (index, raw) in raw.iter().enumerate() {
        let mut mistake = |field: &str, problem: Problem| {
            if mistakes.len() < MISTAKES_MAX {
                mistakes.push(Mistake::new(section, index, field, problem));
            }
        };
        let Ok(mut members) = serde_json::from_str::<Members<'_>>(raw.get()) else {
            mistake("", "must be an object".into());
            continue;
        };
        entries.extend(E::take_from(&mut members, &mut mistake).map(T::from));
        for (name, _) in members.0 {
            mistake(&name, "is unknown or is given twice".into());
        }
    }
    entries
}

impl From<GroupEntry> for Group {
    fn from(entry: GroupEntry) -> Self {
        Self {
            group: entry.group.0,
            brand: entry.brand.0,
            currency: entry.currency.0,
            account_mode: entry.account_mode.0,
            enabled: entry.enable.0,
        }
    }
}

impl From<CustomerEntry> for Customer {
    fn from(entry: CustomerEntry) -> Self {
        Self {
            customer_id: CustomerId(entry.customer_id.0),
            country: entry.country.0,
            brand: entry.brand.0,
            status: entry.status.0,
            deposit_allowed: entry.deposit_allowed.0,
            withdrawal_allowed: entry.withdrawal_allowed.0,
        }
    }
}

impl From<AccountLine> for AccountEntry {
    fn from(entry: AccountLine) -> Self {
        Self {
            login: Login(entry.login.0),
            customer_id: CustomerId(entry.customer_id.0),
            group: entry.group.0,
            enabled: entry.enable.0,
            opening_balance: entry.balance.map(Into::into).unwrap_or_default(),
        }
    }
}

impl From<RateLine> for RateEntry {
    fn from(entry: RateLine) -> Self {
        let stated = StatedRate { rate: entry.rate.0, time: entry.time.0, source: entry.source.0 };
        Self { from: entry.from.0, to: entry.to.0, stated }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c18_null_is_omitted_in_a_roster_as_everywhere() {
        let account = r#"{"login":1,"customer_id":5,"group":"g","enable":1,"balance":null}"#;
        let text = format!(r#"{{"groups":null,"customers":null,"accounts":[{account}]}}"#);
        let read = apply_text(&text, |roster| {
            assert_eq!((roster.groups.len(), roster.customers.len()), (0, 0));
            Ok(roster.accounts.into_iter().map(|account| account.opening_balance).collect::<Vec<_>>())
        });
        assert_eq!(read.unwrap(), [Box::<str>::default()]);
        let required = r#"{"customers":[{"customer_id":5,"country":"DE","brand":null,"status":0,"deposit_allowed":1,
            "withdrawal_allowed":1}]}"#;
        let refused = apply_text::<()>(required, |_| panic!("it is not read")).unwrap_err().to_string();
        assert!(refused.ends_with("line 1: customers[0].brand: is missing"), "{refused}");
        assert!(apply_text::<()>(r#"{"customers":{}}"#, |_| panic!("it is not read")).is_err());
    }
}
