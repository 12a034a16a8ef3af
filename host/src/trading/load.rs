//! Reading customers, groups and accounts into memory. A row that cannot be read fails alone: its account is contested.

use std::sync::Arc;

use cashier_core::account::{Account, AccountMode, Customer, Group};
use cashier_core::ids::{CustomerId, Login};
use cashier_core::money::{Currency, Money};
use rusqlite::{Connection, Row};

use super::account_kinds::AccountKinds;
use super::rates;
use super::roster::{Contested, Holdings, UnreadBalance};
use super::rows::{DiskFault, currency, id};

/// Reads customers, groups and accounts; postings stay on disk. A row that cannot be read is left out and logged: its
/// accounts are contested, the others are served.
pub(super) fn load(connection: &Connection) -> Result<Holdings, DiskFault> {
    let mut holdings = Holdings::default();
    let mut statement = connection
        .prepare("SELECT customer_id, country, brand, status, deposit_allowed, withdrawal_allowed FROM customer")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(customer) = readable("customer", customer(row))? {
            holdings.customers.insert(customer.customer_id, Arc::new(customer));
        }
    }
    let mut statement =
        connection.prepare("SELECT name, brand, currency, exponent, account_mode, enabled FROM account_group")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(group) = readable("account_group", group(row))? {
            holdings.groups.insert(group.group.clone(), Arc::new(group));
        }
    }
    let mut statement = connection.prepare(rates::READ)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if let Some((pair, stated)) = readable("rate", rates::read(row))? {
            holdings.rates.insert(pair, Arc::new(stated));
        }
    }
    let mut statement = connection.prepare(
        "SELECT login, customer_id, group_name, enabled, balance_minor, recorded_minor, currency, exponent FROM account",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let Some(login) = readable("account", id(row, 0))?.map(Login) else { continue };
        let (account, recorded) = match account(row, login, &holdings) {
            Ok(read) => read,
            Err(fault) if fault.is_of_row() => {
                let group: Box<str> = row.get(2).unwrap_or_default();
                let balance = unread_balance(row, holdings.groups.get(&group).map(|known| known.currency));
                let customer_id = id(row, 1).ok().map(CustomerId);
                holdings.contest(login, Contested::Unreadable { why: fault.what.into(), customer_id, group, balance });
                continue;
            }
            Err(fault) => return Err(fault),
        };
        if account.balance != recorded {
            holdings.contest(login, Contested::Edited { recorded, found: account.balance });
        }
        holdings.accounts.insert(login, Arc::new(account));
    }
    holdings.kinds = AccountKinds::of(&holdings.accounts, &holdings.customers);
    Ok(holdings)
}

/// The row, unless it cannot be read.
fn readable<T>(table: &str, row: Result<T, DiskFault>) -> Result<Option<T>, DiskFault> {
    match row {
        Ok(row) => Ok(Some(row)),
        Err(fault) if fault.is_of_row() => {
            tracing::error!(table, fault = fault.what, "row of the trading database could not be read");
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

fn customer(row: &Row<'_>) -> Result<Customer, DiskFault> {
    Ok(Customer {
        customer_id: CustomerId(id(row, 0)?),
        country: row.get(1)?,
        brand: row.get(2)?,
        status: row.get(3)?,
        deposit_allowed: row.get(4)?,
        withdrawal_allowed: row.get(5)?,
    })
}

fn group(row: &Row<'_>) -> Result<Group, DiskFault> {
    let (mode, name): (i64, Box<str>) = (row.get(4)?, row.get(0)?);
    Ok(Group {
        brand: row.get(1)?,
        currency: currency(row, 2, 3)?,
        account_mode: AccountMode::from_number(mode)
            .ok_or_else(|| DiskFault::of_row(format!("group {name:?} has account mode {mode}")))?,
        enabled: row.get(5)?,
        group: name,
    })
}

/// An account, and its balance as the cashier recorded it.
fn account(row: &Row<'_>, login: Login, holdings: &Holdings) -> Result<(Account, Money), DiskFault> {
    let (customer_id, group): (CustomerId, Box<str>) = (CustomerId(id(row, 1)?), row.get(2)?);
    let known = holdings.groups.get(&group).map(|known| known.currency);
    let currency =
        known.ok_or_else(|| DiskFault::of_row(format!("account {login} names group {group:?}, which is not there")))?;
    if !holdings.customers.contains_key(&customer_id) {
        return Err(DiskFault::of_row(format!("account {login} names customer {customer_id}, which is not there")));
    }
    let (balance, recorded) = (Money::new(row.get(4)?, currency), Money::new(row.get(5)?, currency));
    if (balance.minor != 0 || recorded.minor != 0)
        && let Some(own) = own_currency(row)?
        && own != currency
    {
        return Err(DiskFault::of_row(format!(
            "account {login} holds {own}, and its group {group:?} is in {currency}"
        )));
    }
    Ok((Account { login, customer_id, group, enabled: row.get(3)?, balance }, recorded))
}

/// The currency that the balance was written in; `None` where that was before it was written with balances.
fn own_currency(row: &Row<'_>) -> Result<Option<Currency>, DiskFault> {
    let code: Box<str> = row.get(6)?;
    if code.is_empty() { Ok(None) } else { currency(row, 6, 7).map(Some) }
}

/// What is known of the balance of an account that cannot be read.
fn unread_balance(row: &Row<'_>, of_group: Option<Currency>) -> UnreadBalance {
    let is_zero = |column| row.get(column).is_ok_and(|minor: i64| minor == 0);
    if is_zero(4) && is_zero(5) {
        return UnreadBalance::Empty;
    }
    let known = own_currency(row).map(|own| own.or(of_group)).unwrap_or_default();
    known.map_or(UnreadBalance::Unknown, UnreadBalance::In)
}
