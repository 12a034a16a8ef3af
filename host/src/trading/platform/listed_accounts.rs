//! The accounts of the postings of one list, each read once: a list of a million postings is of far fewer accounts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use cashier_core::account::Account;
use cashier_core::ids::{CustomerId, Login};
use cashier_core::money::Currency;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::accounts::{PlatformAccounts, fault};
use super::client::PlatformFailure;
use super::server_error::ServerErrorKind;
use crate::ports::Fault;

/// Accounts that are remembered during a list, some 50 bytes each; beyond it all are forgotten and read again.
const LISTED_ACCOUNTS_MAX: usize = 262_144;

/// Accounts that are asked for at once: a quarter of the calls in flight.
const ACCOUNTS_AT_ONCE: usize = 16;

/// How often an account is asked for, where the platform was too busy to say anything of it.
const ACCOUNT_TRIES_MAX: usize = 4;

/// Look-ups of one account in one list that had no answer: then it is one that cannot be read.
const SILENT_LOOK_UPS_MAX: u32 = 2;

/// What a list needs of an account.
#[derive(Clone, Copy)]
pub(super) struct ListedAccount {
    pub(super) customer_id: CustomerId,
    pub(super) currency: Currency,
}

/// Accounts of the list that is read.
#[derive(Clone, Default)]
pub(super) struct ListedAccounts(Arc<Mutex<AccountsRead>>);

#[derive(Default)]
struct AccountsRead {
    known: KnownByLogin,
    /// How often a look-up had no answer, over the tries of one page.
    silent: BTreeMap<Login, u32>,
}

/// `None`: gone, or it cannot be read.
type KnownByLogin = BTreeMap<Login, Option<ListedAccount>>;

impl ListedAccounts {
    /// A list begins, or begins again: what was read for an earlier one may be old.
    pub(super) fn begin(&self) {
        self.with(|read| read.known.clear());
    }

    pub(super) fn end(&self) {
        self.with(|read| *read = AccountsRead::default());
    }

    /// The accounts of these logins. One whose look-up has no answer, or none that can be read, ends no list.
    ///
    /// # Errors
    /// The platform is too busy, or away: what was read by then is remembered.
    pub(super) async fn read(
        &self,
        accounts: &PlatformAccounts,
        logins: impl Iterator<Item = Login>,
    ) -> Result<KnownByLogin, Fault> {
        let wanted: BTreeMap<Login, Option<Option<ListedAccount>>> =
            self.with(|read| logins.map(|login| (login, read.known.get(&login).copied())).collect());
        let missing: Vec<Login> = wanted.iter().filter(|(_, known)| known.is_none()).map(|(login, _)| *login).collect();
        let read = async |login: Login| Ok::<_, Fault>((login, self.read_one(accounts, login).await?));
        let read: Vec<(Login, Option<ListedAccount>)> =
            stream::iter(missing).map(read).buffer_unordered(ACCOUNTS_AT_ONCE).try_collect().await?;
        let before = wanted.into_iter().filter_map(|(login, known)| Some((login, known?)));
        Ok(before.chain(read).collect())
    }

    /// `None` where it is gone, or cannot be read, as its login cannot where it is 0.
    async fn read_one(&self, accounts: &PlatformAccounts, login: Login) -> Result<Option<ListedAccount>, Fault> {
        if login == Login(0) {
            return Ok(None);
        }
        let mut tries = 0;
        loop {
            tries += 1;
            let failure = match accounts.answered_account(login).await {
                Ok(answered) => return Ok(self.keep(login, answered)),
                Err(failure) => failure,
            };
            let is_busy = match &failure {
                PlatformFailure::NeverSent(_) => true,
                PlatformFailure::Answered(error) => error.kind == ServerErrorKind::TooOften,
                PlatformFailure::Unknown(_) => false,
            };
            // Its connection may be closed for it: then the page is read again, and what is noted here counts.
            if !is_busy && self.note_silent(login) >= SILENT_LOOK_UPS_MAX {
                tracing::error!(%login, %failure, "account of postings has no answer at the trading server");
                return Ok(None);
            }
            if tries >= ACCOUNT_TRIES_MAX {
                return Err(fault(failure));
            }
        }
    }

    fn keep(&self, login: Login, answered: Result<Option<Account>, Fault>) -> Option<ListedAccount> {
        if let Err(fault) = &answered {
            tracing::error!(%login, %fault, "account of postings cannot be read at the trading server");
        }
        let listed = answered
            .ok()
            .flatten()
            .map(|account| ListedAccount { customer_id: account.customer_id, currency: account.balance.currency });
        self.with(|read| {
            if read.known.len() >= LISTED_ACCOUNTS_MAX {
                read.known.clear();
            }
            read.known.insert(login, listed);
        });
        listed
    }

    fn note_silent(&self, login: Login) -> u32 {
        self.with(|read| {
            let silent = read.silent.entry(login).or_default();
            *silent = silent.saturating_add(1);
            *silent
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut AccountsRead) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
