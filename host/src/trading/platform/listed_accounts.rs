//! The accounts of the postings of one list, each read once: a list of a million postings is of far fewer accounts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use cashier_core::account::Account;
use cashier_core::ids::Login;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::accounts::{PlatformAccounts, fault};
use crate::ports::Fault;

/// Accounts that are remembered during a list; beyond it all are forgotten and read again.
const LISTED_ACCOUNTS_MAX: usize = 65_536;

/// Accounts that are asked for at once: a quarter of the calls in flight.
const ACCOUNTS_AT_ONCE: usize = 16;

/// Accounts of the list that is read.
#[derive(Clone, Default)]
pub(super) struct ListedAccounts(Arc<Mutex<AccountsRead>>);

/// `None`: gone, or it cannot be read.
type AccountsRead = BTreeMap<Login, Option<Account>>;

impl ListedAccounts {
    /// A list begins: what was read for an earlier one may be old.
    pub(super) fn forget(&self) {
        self.with(|known| known.clear());
    }

    /// The accounts of these logins. One whose look-up has no answer, or none that can be read, ends no list.
    ///
    /// # Errors
    /// The platform does not answer at all.
    pub(super) async fn read(
        &self,
        accounts: &PlatformAccounts,
        logins: impl Iterator<Item = Login>,
    ) -> Result<AccountsRead, Fault> {
        let wanted: BTreeMap<Login, Option<Option<Account>>> =
            self.with(|known| logins.map(|login| (login, known.get(&login).cloned())).collect());
        let missing: Vec<Login> = wanted.iter().filter(|(_, known)| known.is_none()).map(|(login, _)| *login).collect();
        let read = async |login: Login| Ok::<_, Fault>((login, read(accounts, login).await?));
        let read: Vec<(Login, Option<Account>)> =
            stream::iter(missing).map(read).buffer_unordered(ACCOUNTS_AT_ONCE).try_collect().await?;
        self.with(|known| {
            if known.len().saturating_add(read.len()) > LISTED_ACCOUNTS_MAX {
                known.clear();
            }
            known.extend(read.iter().cloned());
        });
        let before = wanted.into_iter().filter_map(|(login, known)| Some((login, known?)));
        Ok(before.chain(read).collect())
    }

    fn with<T>(&self, change: impl FnOnce(&mut AccountsRead) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// `None` where it is gone, or cannot be read, as its login cannot where it is 0.
async fn read(accounts: &PlatformAccounts, login: Login) -> Result<Option<Account>, Fault> {
    if login == Login(0) {
        return Ok(None);
    }
    let answered = match accounts.answered_account(login).await {
        Ok(answered) => answered,
        Err(failure) => {
            // Of this login alone where anything else is answered.
            accounts.groups().await?;
            Err(fault(failure))
        }
    };
    if let Err(fault) = &answered {
        tracing::error!(%login, %fault, "account of postings cannot be read at the trading server");
    }
    Ok(answered.ok().flatten())
}
