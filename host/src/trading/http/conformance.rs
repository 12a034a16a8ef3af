//! Whether a broker's trading server keeps the protocol (docs/trading-server.md): what `cashier trading check` asks it, over one
//! test account whose balance is the same afterwards. It prints nothing.

mod answered;
mod conflicts;
mod every_call;
mod exchanges;
mod identifiers;
mod listing;
mod postings;
mod races;
mod refusals;
mod refused_calls;

use std::sync::Arc;

use cashier_core::account::{AccountFacts, AccountMode};
use cashier_core::ids::{CustomerId, Login};
use cashier_core::money::Currency;
use cashier_core::operation::OperationKey;

use self::exchanges::{Checker, NOBODY, expect, line};
pub use self::exchanges::{PromiseLine, PromiseSeen};
use super::HttpServerSettings;
use super::answers::{AccountAnswer, GroupsAnswer, IdentityAnswer, RateAnswer, read_health, read_only, read_or_none};
use super::calling::{PROTOCOL, encoded};
use super::reading;
use super::requests::{AccountRequest, GroupsRequest, HealthRequest, IdentityRequest, RateRequest};
use super::signature::TIMESTAMP_TOLERANCE_SECONDS;
use crate::ports::{Clock, Entropy, Fault};

/// The account that is posted to.
#[derive(Debug, Clone)]
pub struct CheckedAccount {
    pub login: Login,
    pub customer: CustomerId,
    /// Which currency it must have, where that is known.
    pub currency: Option<Currency>,
    /// Whether it may be one of real money.
    pub real_allowed: bool,
    /// What an earlier check ended with.
    pub known_key: Option<OperationKey>,
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckReport {
    pub lines: Vec<PromiseLine>,
    /// Posted by this check, for the next one to ask for.
    pub key: Option<OperationKey>,
}

/// Checks every promise. What depends on one that is broken is left out.
///
/// # Errors
/// The settings are not usable: nothing was sent.
pub async fn check(
    settings: HttpServerSettings,
    account: &CheckedAccount,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<CheckReport, Fault> {
    let mut checker = Checker::open(settings, clock, entropy)?;
    let mut report = CheckReport::default();
    let lines = &mut report.lines;
    let identified = identity(&mut checker).await;
    let is_identified = identified.is_ok();
    lines.push(line("identity: signed, protocol 1, its clock within the tolerance", identified));
    if !is_identified {
        return Ok(report);
    }
    lines.push(line("health: it takes postings", health(&checker).await));
    lines.extend(refused_calls::check(&checker, account.login).await);
    lines.push(line("customer: the test customer, and none for an unknown one", customer(&checker, account).await));
    lines.push(line("rate: exact, or none", rate(&checker).await));
    match facts(&checker, account).await {
        Err(problem) => lines.push(line("account: the test login with its customer and group", Err(problem))),
        Ok(facts) => {
            lines.push(line("account: the test login with its customer and group", Ok(())));
            lines.push(line("account: none for an unknown login", unknown_login(&checker).await));
            lines.push(line("groups: the account's is among them", groups(&checker, &facts).await));
            lines.extend(every_call::check(&mut checker, &facts).await);
            lines.extend(refused_calls::check_postings(&mut checker, &facts).await);
            let (checked, key) = postings::check(&mut checker, &facts, account.known_key.as_ref()).await;
            lines.extend(checked);
            report.key = key;
        }
    }
    Ok(report)
}

async fn identity(checker: &mut Checker) -> Result<(), String> {
    let answer = checker.ask(encoded(&IdentityRequest::new())).await?;
    let identity = read_only::<IdentityAnswer>(&answer)?;
    expect(identity.protocol.0 == PROTOCOL, || format!("it speaks protocol {}", identity.protocol.0))?;
    expect(!identity.instance.0.is_empty(), || "its instance is empty".to_owned())?;
    let ahead = identity.time.0.0 - checker.now().0;
    expect(ahead.abs() <= TIMESTAMP_TOLERANCE_SECONDS, || format!("its clock is {ahead} s ahead"))?;
    checker.learn(identity.instance.0, ahead)
}

async fn health(checker: &Checker) -> Result<(), String> {
    let answer = checker.ask(encoded(&HealthRequest::new(checker.instance()))).await?;
    read_health(&answer)?.map_err(|words| format!("it is not ready: {words}"))
}

async fn customer(checker: &Checker, of: &CheckedAccount) -> Result<(), String> {
    checker.customer(of.customer).await?.ok_or_else(|| format!("it does not know customer {}", of.customer))?;
    let nobody = checker.customer(CustomerId(NOBODY)).await;
    expect(nobody?.is_none(), || format!("it knows customer {NOBODY}"))
}

async fn facts(checker: &Checker, of: &CheckedAccount) -> Result<AccountFacts, String> {
    let facts = checker.account(of.login).await?.ok_or_else(|| format!("it does not know login {}", of.login))?;
    let owner = facts.account.customer_id;
    expect(owner == of.customer, || format!("the login is customer {owner}'s, not {}'s", of.customer))?;
    let is_allowed = of.real_allowed || facts.group.account_mode == AccountMode::Demo;
    expect(is_allowed, || "it is a real account: name a demo one, or say --real-account".to_owned())?;
    let currency = facts.group.currency;
    expect(of.currency.is_none_or(|expected| expected == currency), || format!("the account is in {currency}"))?;
    Ok(facts)
}

async fn unknown_login(checker: &Checker) -> Result<(), String> {
    let answer = checker.ask(encoded(&AccountRequest::new(checker.instance(), Login(NOBODY)))).await?;
    expect(read_or_none::<AccountAnswer>(&answer)?.is_none(), || format!("it knows login {NOBODY}"))
}

async fn groups(checker: &Checker, facts: &AccountFacts) -> Result<(), String> {
    let answer = checker.ask(encoded(&GroupsRequest::new(checker.instance()))).await?;
    let (groups, unread) = reading::groups(read_only::<GroupsAnswer>(&answer)?)?;
    unread.into_iter().next().map_or(Ok(()), Err)?;
    expect(groups.contains(&facts.group), || format!("{} is not, or is another one there", facts.group.group))
}

async fn rate(checker: &Checker) -> Result<(), String> {
    let code = |code| Currency::from_code(code).ok_or_else(|| format!("{code} is no currency"));
    let (from, to) = (code("EUR")?, code("USD")?);
    let answer = checker.ask(encoded(&RateRequest::new(checker.instance(), from.code(), to.code()))).await?;
    read_or_none::<RateAnswer>(&answer)?
        .map_or(Ok(()), |stated| reading::rate(stated, (from, to), checker.now()).map(drop))
}
