//! The embedded trading server's state in memory, and the decision whether a roster of groups, customers, accounts and rates
//! may be applied to it. Pure: no disk, no clock, no thread.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use cashier_core::account::{Account, AccountFacts, Customer, Group};
use cashier_core::conversion::StatedRate;
use cashier_core::ids::{CustomerId, Login, ServerName};
use cashier_core::money::{Currency, Money, parse_minor};
use cashier_core::roster::{ImportReport, Tally};

use super::account_kinds::AccountKinds;
pub use super::contested::{Contested, UnreadBalance};
pub use super::mistake::{Mistake, Section};
pub use super::rates::RateEntry;
use super::rates::{self, RatePair, Rates};

/// Everything in memory. Copied in constant time, so that a batch works on a copy and a failed one is dropped whole.
#[derive(Debug, Clone, Default)]
pub struct Holdings {
    pub customers: imbl::HashMap<CustomerId, Arc<Customer>>,
    pub groups: imbl::HashMap<Box<str>, Arc<Group>>,
    pub accounts: imbl::HashMap<Login, Arc<Account>>,
    pub kinds: AccountKinds,
    pub rates: Rates,
    /// Accounts that were changed outside the cashier: nothing is posted to them until a person has decided.
    pub contested: imbl::HashMap<Login, Contested>,
}

impl Holdings {
    /// Customer, account and group of a login; `None` when there is no such account. An error while it is contested.
    pub fn facts(&self, login: Login) -> Result<Option<AccountFacts>, &Contested> {
        if let Some(contested) = self.contested.get(&login) {
            return Err(contested);
        }
        let facts = || {
            let account = self.accounts.get(&login)?;
            let customer = self.customers.get(&account.customer_id)?;
            let group = self.groups.get(&account.group)?;
            Some(AccountFacts {
                customer: Customer::clone(customer),
                account: Account::clone(account),
                group: Group::clone(group),
                server: ServerName::default(),
                age_seconds: 0,
            })
        };
        Ok(facts())
    }

    /// The group and balance of an account that cannot be read.
    pub(super) fn unreadable(&self, login: Login) -> Option<(&str, UnreadBalance)> {
        match self.contested.get(&login)? {
            Contested::Unreadable { group, balance, .. } => Some((group, *balance)),
            Contested::Edited { .. } | Contested::Removed { .. } => None,
        }
    }

    /// Owner and group of an account, also of one that cannot be read, as far as its row says them.
    pub(super) fn terms(&self, login: Login) -> Option<(Option<CustomerId>, &str)> {
        if let Some(account) = self.accounts.get(&login) {
            return Some((Some(account.customer_id), &account.group));
        }
        match self.contested.get(&login)? {
            Contested::Unreadable { customer_id, group, .. } => Some((*customer_id, group)),
            Contested::Edited { .. } | Contested::Removed { .. } => None,
        }
    }

    pub(super) fn contest(&mut self, login: Login, why: Contested) {
        self.contested.insert(login, why);
    }

    /// Compares with what was known before another program wrote: a balance that differs is contested, and so is an
    /// account that is gone.
    pub(super) fn contest_changes_since(&mut self, before: &Self) {
        let known = before.accounts.keys().chain(before.contested.keys());
        for login in known {
            let recorded = match before.contested.get(login) {
                Some(Contested::Edited { recorded, .. } | Contested::Removed { recorded }) => *recorded,
                Some(Contested::Unreadable { .. }) => continue,
                None => match before.accounts.get(login) {
                    Some(account) => account.balance,
                    None => continue,
                },
            };
            let why = match self.accounts.get(login) {
                _ if self.contested.contains_key(login) => continue,
                Some(found) if found.balance == recorded => continue,
                Some(found) => Contested::Edited { recorded, found: found.balance },
                None => Contested::Removed { recorded },
            };
            self.contest(*login, why);
        }
    }
}

/// Groups, customers, accounts and rates to add or update. Rows that it does not name stay unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roster {
    pub groups: Vec<Group>,
    pub customers: Vec<Customer>,
    pub accounts: Vec<AccountEntry>,
    pub rates: Vec<RateEntry>,
}

/// An account of a roster. Its currency is its group's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountEntry {
    pub login: Login,
    pub customer_id: CustomerId,
    pub group: Box<str>,
    pub enabled: bool,
    /// The text of a plain decimal, a leading minus allowed; empty is zero. Read only when the account is created: the
    /// balance of a known account is moved by postings alone.
    pub opening_balance: Box<str>,
}

/// Counts one entry and puts it among the known rows; returns the row if it is to be written.
fn put<K: Clone + Eq + Hash, V: Clone + PartialEq>(
    tally: &mut Tally,
    rows: &mut imbl::HashMap<K, Arc<V>>,
    key: &K,
    row: &V,
) -> Option<Arc<V>> {
    match rows.get(key) {
        Some(known) if **known == *row => {
            tally.unchanged += 1;
            return None;
        }
        Some(_) => tally.updated += 1,
        None => tally.added += 1,
    }
    let row = Arc::new(row.clone());
    rows.insert(key.clone(), Arc::clone(&row));
    Some(row)
}

/// The holdings after a roster, with the changed rows.
#[derive(Debug, Default)]
pub struct RosterChanges {
    pub holdings: Holdings,
    pub groups: Vec<Arc<Group>>,
    pub customers: Vec<Arc<Customer>>,
    pub accounts: Vec<Arc<Account>>,
    pub rates: Vec<(RatePair, Arc<StatedRate>)>,
    pub report: ImportReport,
}

/// Applies a roster whole, or reports everything that is wrong with it.
///
/// The balance of a known account never changes here, and a balance other than zero never changes its currency: moving
/// its account to a group of another currency, or giving its group another currency, is a mistake. So it is for an account
/// that cannot be read.
pub fn apply(holdings: &Holdings, roster: &Roster) -> Result<RosterChanges, Vec<Mistake>> {
    let mut changes = RosterChanges { holdings: holdings.clone(), ..RosterChanges::default() };
    let mut mistakes = repeated(roster);
    mistakes.extend(rates::mistakes(&roster.rates));
    let (next, report) = (&mut changes.holdings, &mut changes.report);

    let mut changed_currency: HashMap<&str, (usize, Currency)> = HashMap::new();
    // Accounts that cannot be read may name it.
    let mut lost: HashMap<&str, (usize, Currency)> = HashMap::new();
    for (index, group) in roster.groups.iter().enumerate() {
        match next.groups.get(&group.group) {
            None => drop(lost.insert(&group.group, (index, group.currency))),
            Some(known) if known.currency != group.currency => {
                changed_currency.insert(&group.group, (index, group.currency));
            }
            Some(_) => {}
        }
        let row = put(&mut report.groups, &mut next.groups, &group.group, group);
        changes.groups.extend(row);
    }
    for customer in &roster.customers {
        let row = put(&mut report.customers, &mut next.customers, &customer.customer_id, customer);
        changes.customers.extend(row);
    }
    for (index, entry) in roster.accounts.iter().enumerate() {
        match stated_account(next, entry, index) {
            // Its row stays what it is but for what is stated, and nobody sees the account until it can be read.
            Ok(account) if next.unreadable(entry.login).is_some() => {
                if let Some(Contested::Unreadable { customer_id, group, .. }) = next.contested.get_mut(&entry.login) {
                    (*customer_id, *group) = (Some(entry.customer_id), entry.group.clone());
                }
                report.accounts.updated += 1;
                changes.accounts.push(Arc::new(account));
            }
            Ok(account) => {
                changes.accounts.extend(put(&mut report.accounts, &mut next.accounts, &entry.login, &account))
            }
            Err(found) => mistakes.extend(found),
        }
    }
    for entry in &roster.rates {
        let row = put(&mut report.rates, &mut next.rates, &entry.pair(), &entry.stated);
        changes.rates.extend(row.map(|row| (entry.pair(), row)));
    }
    if !changed_currency.is_empty() {
        mistakes.extend(change_currency(next, &changed_currency));
    }
    lost.extend(changed_currency);
    mistakes.extend(unread_currencies(next, &lost));
    let (before, after) = ((&holdings.accounts, &holdings.customers), (&next.accounts, &next.customers));
    next.kinds = holdings.kinds.changed(before, after, &changes.accounts, &changes.customers);
    if mistakes.is_empty() { Ok(changes) } else { Err(mistakes) }
}

/// The account of an entry, with its current balance if it is known.
fn stated_account(holdings: &Holdings, entry: &AccountEntry, index: usize) -> Result<Account, Vec<Mistake>> {
    let mistake = |field: &str, problem: String| Mistake::new(Section::Accounts, index, field, problem);
    let mut mistakes = Vec::new();
    if !holdings.customers.contains_key(&entry.customer_id) {
        mistakes.push(mistake("customer_id", format!("there is no customer {}", entry.customer_id)));
    }
    let Some(group) = holdings.groups.get(&entry.group) else {
        mistakes.push(mistake("group", format!("there is no group {:?}", entry.group)));
        return Err(mistakes);
    };
    if let Some(why @ Contested::Removed { .. }) = holdings.contested.get(&entry.login) {
        mistakes.push(mistake("login", format!("is of an account that was changed outside the cashier: {why}")));
    }
    if let Some((stored, balance)) = holdings.unreadable(entry.login)
        && let Some(why) = balance.refuses(group.currency, stored == &*entry.group)
    {
        mistakes.push(mistake("group", format!("is of an account that cannot be read and {why}")));
    }
    let is_contested = holdings.contested.contains_key(&entry.login);
    let opening = opening_minor(&entry.opening_balance, group.currency);
    let minor = match (holdings.accounts.get(&entry.login), opening) {
        (Some(known), _) if (is_contested || known.balance.minor != 0) && known.balance.currency != group.currency => {
            let problem = format!("the balance of {} cannot become {}", known.balance, group.currency);
            mistakes.push(mistake("group", problem));
            0
        }
        (Some(known), _) => known.balance.minor,
        (None, Ok(minor)) => minor,
        (None, Err(problem)) => {
            mistakes.push(mistake("balance", format!("{} {problem}", entry.opening_balance)));
            0
        }
    };
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    Ok(Account {
        login: entry.login,
        customer_id: entry.customer_id,
        group: entry.group.clone(),
        enabled: entry.enabled,
        balance: Money::new(minor, group.currency),
    })
}

fn opening_minor(text: &str, currency: Currency) -> Result<i64, cashier_core::money::AmountError> {
    match text.strip_prefix('-') {
        _ if text.is_empty() => Ok(0),
        Some(negative) => parse_minor(negative, currency.exponent()).map(|minor| -minor),
        None => parse_minor(text, currency.exponent()),
    }
}

/// Gives empty accounts the new currency of their group; of each group it reports one account that is not empty.
fn change_currency(holdings: &mut Holdings, groups: &HashMap<&str, (usize, Currency)>) -> Vec<Mistake> {
    let mut affected: Vec<_> = holdings
        .accounts
        .values()
        .filter_map(|account| {
            let (index, currency) = groups.get(&*account.group).copied()?;
            (account.balance.currency != currency).then(|| (index, currency, Arc::clone(account)))
        })
        .collect();
    affected.sort_by_key(|(index, _, account)| (*index, account.login));
    let mut mistakes: Vec<Mistake> = Vec::new();
    for (index, currency, account) in affected {
        // What was recorded of a contested balance may be put back, in the currency it was recorded in.
        if account.balance.minor == 0 && !holdings.contested.contains_key(&account.login) {
            let emptied = Account { balance: Money::new(0, currency), ..Account::clone(&account) };
            holdings.accounts.insert(account.login, Arc::new(emptied));
        } else if mistakes.last().is_none_or(|last| last.index != index) {
            let problem =
                format!("account {} holds {}, which cannot become {currency}", account.login, account.balance);
            mistakes.push(Mistake::new(Section::Groups, index, "currency", problem));
        }
    }
    mistakes
}

/// Of each group that is added or gets another currency, one account that cannot be read and whose balance that would change.
fn unread_currencies(holdings: &Holdings, groups: &HashMap<&str, (usize, Currency)>) -> Vec<Mistake> {
    let unread = holdings.contested.keys().filter_map(|login| {
        let (group, balance) = holdings.unreadable(*login)?;
        let (index, currency) = groups.get(group).copied()?;
        Some((index, *login, balance.refuses(currency, false)?))
    });
    let mut unread: Vec<_> = unread.collect();
    unread.sort();
    unread.dedup_by_key(|(index, ..)| *index);
    let mistake = |(index, login, why)| {
        Mistake::new(Section::Groups, index, "currency", format!("account {login} cannot be read and {why}"))
    };
    unread.into_iter().map(mistake).collect()
}

/// Entries with the key of an earlier one of the same list.
fn repeated(roster: &Roster) -> Vec<Mistake> {
    let mut mistakes = repeats(Section::Groups, "group", roster.groups.iter().map(|entry| &entry.group));
    mistakes.extend(repeats(Section::Customers, "customer_id", roster.customers.iter().map(|entry| entry.customer_id)));
    mistakes.extend(repeats(Section::Accounts, "login", roster.accounts.iter().map(|entry| entry.login)));
    mistakes.extend(repeats(Section::Rates, "from", roster.rates.iter().map(RateEntry::pair)));
    mistakes
}

fn repeats<K: Hash + Eq>(section: Section, field: &str, keys: impl Iterator<Item = K>) -> Vec<Mistake> {
    let mut first = HashMap::new();
    let mut mistakes = Vec::new();
    for (index, key) in keys.enumerate() {
        let earlier = *first.entry(key).or_insert(index);
        if earlier != index {
            mistakes.push(Mistake::new(section, index, field, format!("repeats {}[{earlier}]", section.name())));
        }
    }
    mistakes
}
