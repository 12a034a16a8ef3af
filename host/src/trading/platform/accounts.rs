//! Look-ups at the platform: whose a login is, of which group, and who a customer is. Each is asked anew; it keeps nothing, and no
//! password least of all.

use std::sync::Arc;
use std::time::Duration;

use cashier_core::account::{Account, AccountFacts, AccountMode, Customer, Group};
use cashier_core::ids::{CustomerId, Login, ServerName};
use cashier_core::money::{Currency, Money};
use cashier_core::operation::PostingFlaw;
use cashier_core::reason::ReasonCode;
use serde_json::{Value, json};

use super::account_check;
use super::client::{PlatformClient, PlatformFailure};
use super::finance_order::signed_minor;
use super::server_error::ServerError;
use super::settings::PlatformSettings;
use super::tables::{self, TableRow};
use crate::ports::{Fault, Posting};

/// Customers that a look-up of one may answer with: a server that ignores the filter answers with all.
const CUSTOMERS_ASKED_MAX: u64 = 10;

/// `status` of a customer that is not enabled, whatever status the platform states: blocked.
const BLOCKED: i64 = 1;

/// In `missing_account`: the status of a success, which then means no such login where it comes without data.
const NOTHING: &str = "200";

/// How often an account is asked for that the platform refuses to show after a posting, and the pause between: a session that ends
/// just then refuses everything.
const REFUSED_ASKED_MAX: usize = 3;
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// How often it is tried to ask whether the platform answers.
const ANSWERS_TRIES: usize = 5;
/// The first pause between, which doubles: four seconds in all, in which a connection that was closed is opened again.
const ANSWERS_PAUSE_MIN: Duration = Duration::from_millis(250);

/// What the platform answered about an account.
enum ShownAccount {
    Read(Option<Account>),
    /// What it shows cannot be read.
    Unreadable(Fault),
    /// It shows nothing, and says why.
    Refused(ServerError),
}

/// What is asked of the platform about persons and accounts.
#[derive(Clone)]
pub(super) struct PlatformAccounts {
    pub(super) client: PlatformClient,
    pub(super) settings: Arc<PlatformSettings>,
}

/// Whether the platform says so by a code or a text that a setting names.
pub(super) fn is_named(failure: &PlatformFailure, names: &[Box<str>]) -> bool {
    matches!(failure, PlatformFailure::Answered(error) if error.is_named(names))
}

/// The reason of a refusal, in the platform's words. The codes that we void keys with are not its own: who acts upon them takes the
/// posting for one that the cashier withheld, so that they stay apart.
pub(super) fn refusal_text(failure: &PlatformFailure) -> Box<str> {
    let text = stated_text(failure);
    let is_ours = [ReasonCode::Withheld, ReasonCode::ConfirmedAbsent].iter().any(|code| *text == *code.name());
    if is_ours { format!("X_{text}").into() } else { text }
}

fn stated_text(failure: &PlatformFailure) -> Box<str> {
    match failure {
        PlatformFailure::Answered(error) if !error.text.is_empty() => error.text.clone(),
        PlatformFailure::Answered(_) | PlatformFailure::NeverSent(_) | PlatformFailure::Unknown(_) => {
            failure.to_string().into()
        }
    }
}

pub(super) fn fault(failure: PlatformFailure) -> Fault {
    Fault::new(failure.to_string())
}

impl PlatformAccounts {
    /// An account that a customer owns; `None` where there is none.
    pub(super) async fn account(&self, login: Login) -> Result<Option<Account>, Fault> {
        self.answered_account(login).await.map_err(fault)?
    }

    /// The same, with whether the platform answered apart from whether that can be read.
    pub(super) async fn answered_account(
        &self,
        login: Login,
    ) -> Result<Result<Option<Account>, Fault>, PlatformFailure> {
        Ok(match self.account_answer(login).await? {
            ShownAccount::Read(account) => Ok(account),
            ShownAccount::Unreadable(fault) => Err(fault),
            ShownAccount::Refused(error) => Err(fault(PlatformFailure::Answered(error))),
        })
    }

    async fn account_answer(&self, login: Login) -> Result<ShownAccount, PlatformFailure> {
        match self.client.call("GetAccountByLogin", json!({ "login": login.0 })).await {
            Ok(answer) => Ok(match self.read_account(login, &answer) {
                Ok(account) => ShownAccount::Read(account),
                Err(fault) => ShownAccount::Unreadable(fault),
            }),
            Err(failure) if is_named(&failure, &self.settings.missing_account) => Ok(ShownAccount::Read(None)),
            Err(PlatformFailure::Answered(error)) if error.says_no_or_nothing() => Ok(ShownAccount::Refused(error)),
            Err(failure) => Err(failure),
        }
    }

    /// Whether the platform does now what it is asked, by what costs it little.
    async fn does_heartbeat(&self) -> Result<(), PlatformFailure> {
        self.client.call(&self.settings.heartbeat, json!({})).await.map(drop)
    }

    /// Whether the platform answers now: on another connection, where the last one was closed.
    pub(super) async fn answers(&self) -> Result<(), Fault> {
        let mut pause = ANSWERS_PAUSE_MIN;
        let mut tries = 1;
        loop {
            match self.does_heartbeat().await {
                Ok(()) => return Ok(()),
                // A session without the right to it may do everything else.
                Err(PlatformFailure::Answered(error)) if error.says_no_or_nothing() => return self.client.reaches(),
                Err(PlatformFailure::NeverSent(_)) if tries < ANSWERS_TRIES => {
                    self.client.clock.sleep(pause).await;
                    pause = pause.saturating_mul(2);
                    tries = tries.saturating_add(1);
                }
                Err(failure) => return Err(fault(failure)),
            }
        }
    }

    /// Why a person must look at a posting that was made: its account is another than it was meant for, or nobody can read it. A fault
    /// where nothing was answered about it, or everything is refused.
    pub(super) async fn flaw_after(&self, posting: &Posting) -> Result<Option<PostingFlaw>, Fault> {
        let login = posting.operation.login;
        let mut answer = self.account_answer(login).await.map_err(fault)?;
        for _ in 1..REFUSED_ASKED_MAX {
            let ShownAccount::Refused(error) = &answer else { break };
            tracing::warn!(key = %posting.key(), %login, %error, "trading server refused to show the account of a posting: it is asked for again");
            self.client.clock.sleep(REFUSED_PAUSE).await;
            self.does_heartbeat().await.map_err(fault)?;
            answer = self.account_answer(login).await.map_err(fault)?;
        }
        let unreadable = match answer {
            ShownAccount::Read(account) => {
                let is_another = account_check::is_another(posting, account.as_ref());
                return Ok(is_another.then_some(PostingFlaw::AccountChanged));
            }
            ShownAccount::Unreadable(fault) => fault,
            ShownAccount::Refused(error) => fault(PlatformFailure::Answered(error)),
        };
        tracing::error!(key = %posting.key(), %login, fault = %unreadable, "account of a posting cannot be read at the trading server");
        Ok(Some(PostingFlaw::AccountChanged))
    }

    fn read_account(&self, login: Login, answer: &Value) -> Result<Option<Account>, Fault> {
        if answer.is_null() {
            let says_missing = self.settings.missing_account.iter().any(|named| **named == *NOTHING);
            let unsaid = || Fault::new(format!("the trading server answered nothing about login {login}"));
            return if says_missing { Ok(None) } else { Err(unsaid()) };
        }
        let row = tables::object(answer)?;
        if row.number("login")? != login.0 {
            return Err(Fault::new(format!("asked for login {login}, the trading server answered with another")));
        }
        // Linked to no customer: nobody's.
        let customer = row.number("customer_id")?;
        if customer == 0 { Ok(None) } else { account_of(&row, login, CustomerId(customer)).map(Some) }
    }

    /// Groups that can be read; the others are named in the log.
    pub(super) async fn groups(&self) -> Result<Vec<Group>, Fault> {
        let rows = self.group_rows().await?;
        let read = rows.iter().filter_map(|row| match group_of(row) {
            Ok(group) => Some(group),
            Err(fault) => {
                let group = row.optional_text("group").unwrap_or_default();
                tracing::warn!(group = &*group, %fault, "group of the trading server was left out");
                None
            }
        });
        Ok(read.collect())
    }

    pub(super) async fn group(&self, name: &str) -> Result<Group, Fault> {
        let rows = self.group_rows().await?;
        let row = rows.iter().find(|row| row.optional_text("group").is_some_and(|group| *group == *name));
        group_of(row.ok_or_else(|| Fault::new(format!("the trading server does not list the group {name:?}")))?)
    }

    async fn group_rows(&self) -> Result<Vec<TableRow>, Fault> {
        tables::rows(&self.client.call("GetGroups", json!({})).await.map_err(fault)?)
    }

    pub(super) async fn customer(&self, id: CustomerId) -> Result<Option<Customer>, Fault> {
        let Some(command) = &self.settings.customers_command else {
            return Err(Fault::new("customers_command is not set: which command lists the customers of the platform?"));
        };
        let mut data = json!({ "limit": CUSTOMERS_ASKED_MAX, "offset": 0 });
        if let Some(members) = data.as_object_mut() {
            members.insert(self.settings.customers_filter.to_string(), Value::from(id.0));
        }
        let answer = self.client.call(command, data).await.map_err(fault)?;
        let rows = tables::rows(&answer)?;
        let row = rows.iter().find(|row| row.number("customer_id").is_ok_and(|known| known == id.0));
        match row {
            Some(row) => customer_of(row, id, &self.settings.country_field).map(Some),
            // An empty page beside a count is none.
            None if rows.is_empty() && tables::count(&answer).unwrap_or_default() == 0 => Ok(None),
            None if rows.is_empty() => Err(Fault::new(format!("{command} counts customers and lists none"))),
            None => {
                Err(Fault::new(format!("{command} ignores {}: it answers with others", self.settings.customers_filter)))
            }
        }
    }

    /// Everything about a login.
    pub(super) async fn facts(&self, login: Login) -> Result<Option<AccountFacts>, Fault> {
        let Some(account) = self.account(login).await? else { return Ok(None) };
        let (group, customer) =
            futures_util::future::try_join(self.group(&account.group), self.customer(account.customer_id)).await?;
        let Some(customer) = customer else {
            return Err(Fault::new(format!(
                "login {login} belongs to customer {}, whom the trading server does not list",
                account.customer_id
            )));
        };
        if group.currency != account.balance.currency {
            return Err(Fault::new(format!("login {login} is in another currency than its group {:?}", group.group)));
        }
        Ok(Some(AccountFacts { customer, account, group, server: ServerName::default(), age_seconds: 0 }))
    }
}

fn account_of(row: &TableRow, login: Login, customer_id: CustomerId) -> Result<Account, Fault> {
    let currency = currency_of(row)?;
    // A balance may be finer than its currency; what is shown of it is what can be taken out.
    let decimal = row.decimal("balance")?;
    let minor = floor_minor(&decimal, currency.exponent())
        .ok_or_else(|| Fault::new(format!("the balance of login {login} cannot be read")))?;
    let (group, enabled) = (row.text("group")?, row.flag("enable")?);
    Ok(Account { login, customer_id, group, enabled, balance: Money::new(minor, currency) })
}

fn currency_of(row: &TableRow) -> Result<Currency, Fault> {
    let code = row.text("currency")?;
    Currency::from_code(&code)
        .ok_or_else(|| Fault::new(format!("the trading server has the currency {code:?}, which is unknown")))
}

fn group_of(row: &TableRow) -> Result<Group, Fault> {
    let mode = row.integer("account_mode")?;
    let account_mode = AccountMode::from_number(mode)
        .ok_or_else(|| Fault::new(format!("a group has the account_mode {mode}, which is neither demo nor real")))?;
    // Older platforms call it company.
    let brand = row.text("brand").or_else(|missing| row.text("company").map_err(|_| missing))?;
    let (group, currency, enabled) = (row.text("group")?, currency_of(row)?, row.flag("enable")?);
    Ok(Group { group, brand, currency, account_mode, enabled })
}

fn customer_of(row: &TableRow, customer_id: CustomerId, country_field: &str) -> Result<Customer, Fault> {
    let status = row.integer("status")?;
    let is_barred = status == 0 && !row.flag("enable")?;
    let country = row.text(country_field)?.trim().to_ascii_uppercase();
    if !(country.is_empty() || country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase())) {
        return Err(Fault::new(format!("{country_field} of customer {customer_id} is no code of two letters")));
    }
    Ok(Customer {
        customer_id,
        country: country.into(),
        brand: row.text("brand")?,
        status: if is_barred { BLOCKED } else { status },
        deposit_allowed: row.flag("deposit_allowed")?,
        withdrawal_allowed: row.flag("withdrawal_allowed")?,
    })
}

/// Whole minor units of a decimal that may be finer, rounded toward less.
fn floor_minor(text: &str, exponent: u8) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let (kept, cut) = fraction.split_at_checked(usize::from(exponent)).unwrap_or((fraction, ""));
    let kept = if kept.is_empty() { whole.to_owned() } else { format!("{whole}.{kept}") };
    let minor = signed_minor(&kept, exponent)?;
    let is_less = text.starts_with('-') && cut.bytes().any(|digit| digit != b'0');
    minor.checked_sub(i64::from(is_less))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_balance_is_what_can_be_taken_out() {
        let table = [
            ("100", Some(10_000)),
            ("0.019", Some(1)),
            ("-0.011", Some(-2)),
            ("-0.01", Some(-1)),
            ("-0.010", Some(-1)),
            ("12.5", Some(1_250)),
            ("x", None),
        ];
        for (text, expected) in table {
            assert_eq!(floor_minor(text, 2), expected, "{text}");
        }
        assert_eq!(floor_minor("12.5", 0), Some(12));
    }
}
