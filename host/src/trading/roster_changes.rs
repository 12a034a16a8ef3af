//! What a roster changes: each field of each row before and after, and the accounts whose owner, currency or mode becomes
//! another. Pure.

use std::collections::BTreeSet;

use cashier_core::account::{Account, Customer, Group};
use cashier_core::ids::Login;
use cashier_core::roster::{Rebound, RosterChange, RosterPlan};

use super::rates;
use super::roster::{Holdings, RosterChanges};

/// The changes of a roster that was judged over these holdings.
pub(super) fn plan(before: &Holdings, changes: &RosterChanges) -> RosterPlan {
    let mut found = Vec::new();
    let mut groups = BTreeSet::new();
    for group in &changes.groups {
        let known = before.groups.get(&group.group).map(|known| group_fields(known));
        if known.is_some() {
            groups.insert(&*group.group);
        }
        compare(&mut found, &format!("group {}", group.group), known, group_fields(group));
    }
    for customer in &changes.customers {
        let known = before.customers.get(&customer.customer_id).map(|known| customer_fields(known));
        compare(&mut found, &format!("customer {}", customer.customer_id), known, customer_fields(customer));
    }
    for account in &changes.accounts {
        let known = before.accounts.get(&account.login);
        let mut fields = account_fields(account);
        // One that cannot be read is there, with a balance that stays.
        if known.is_none() && before.unreadable(account.login).is_none() {
            fields.push(("balance", account.balance.to_string()));
        }
        let known = known.map(|known| account_fields(known));
        compare(&mut found, &format!("account {}", account.login), known, fields);
    }
    for (pair, stated) in &changes.rates {
        let known = before.rates.get(pair).map(|known| rates::fields(known));
        compare(&mut found, &rates::row_name(*pair), known, rates::fields(stated));
    }
    let own = changes.accounts.iter().map(|account| account.login);
    let known = || before.accounts.keys().chain(before.contested.keys()).copied();
    let of_groups = || known().filter(|login| before.terms(*login).is_some_and(|(_, group)| groups.contains(group)));
    // Only a changed group needs a look at every account.
    let of_groups = (!groups.is_empty()).then(of_groups).into_iter().flatten();
    let mut rebound: Vec<Rebound> =
        own.chain(of_groups).filter_map(|login| rebound(before, &changes.holdings, login)).collect();
    rebound.sort_by_key(|rebound| rebound.login);
    rebound.dedup();
    RosterPlan { report: changes.report, changes: found, rebound }
}

/// Which of the terms of a known account becomes another. What the row of one that cannot be read does not say is repaired.
fn rebound(before: &Holdings, after: &Holdings, login: Login) -> Option<Rebound> {
    let ((owner, group), (next_owner, next_group)) = (before.terms(login)?, after.terms(login)?);
    let mode = |holdings: &Holdings, group: &str| holdings.groups.get(group).map(|group| group.account_mode);
    let currency = |holdings: &Holdings| holdings.accounts.get(&login).map(|account| account.balance.currency);
    let field = if differ(owner, next_owner) {
        "customer_id"
    } else if differ(currency(before), currency(after)) {
        "currency"
    } else if differ(mode(before, group), mode(after, next_group)) {
        "account_mode"
    } else {
        return None;
    };
    Some(Rebound { login, field })
}

fn differ<T: PartialEq>(before: Option<T>, after: Option<T>) -> bool {
    before.zip(after).is_some_and(|(before, after)| before != after)
}

type RowFields = Vec<(&'static str, String)>;

fn group_fields(group: &Group) -> RowFields {
    vec![
        ("brand", group.brand.to_string()),
        ("currency", group.currency.code().to_string()),
        ("account_mode", group.account_mode.number().to_string()),
        ("enable", u8::from(group.enabled).to_string()),
    ]
}

fn customer_fields(customer: &Customer) -> RowFields {
    vec![
        ("country", customer.country.to_string()),
        ("brand", customer.brand.to_string()),
        ("status", customer.status.to_string()),
        ("deposit_allowed", u8::from(customer.deposit_allowed).to_string()),
        ("withdrawal_allowed", u8::from(customer.withdrawal_allowed).to_string()),
    ]
}

/// All but the balance: a roster moves none.
fn account_fields(account: &Account) -> RowFields {
    vec![
        ("customer_id", account.customer_id.to_string()),
        ("group", account.group.to_string()),
        ("enable", u8::from(account.enabled).to_string()),
    ]
}

fn compare(found: &mut Vec<RosterChange>, row: &str, before: Option<RowFields>, after: RowFields) {
    let Some(before) = before else {
        let all: Vec<String> = after.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let (field, after) = (row.into(), all.join(", ").into());
        found.push(RosterChange { field, before: Box::default(), after });
        return;
    };
    let changed = before.into_iter().zip(after).filter(|((_, before), (_, after))| before != after);
    found.extend(changed.map(|((name, before), (_, after))| RosterChange {
        field: format!("{row} {name}").into(),
        before: before.into(),
        after: after.into(),
    }));
}
