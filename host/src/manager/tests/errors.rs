//! Every error that a command declares of its own, produced through the command: a pair of command and code without an entry
//! fails, and so does an entry whose request is answered otherwise. The errors of every command are walked with requests that
//! any of them refuses.

mod approvals;
mod money;
mod storage;

use cashier_core::reason::ReasonCode;
use cashier_core::refusal::RefusalCode as Code;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use self::approvals as second;
use super::manual::{DEPOSIT, PROCESS, REJECT, WITHDRAWAL, entry};
use super::review::{RESOLVE, RETRY};
use super::*;
use crate::manager as commands;
use crate::ports::QueryAnswer;
use crate::test_cashier::{OnPost, OnRefund};

/// A cashier in the state of an entry, and the request that it refuses.
struct Prepared {
    api: ManagerApi,
    data: String,
}

enum Scenario {
    /// This request to a cashier without transactions.
    Plain(&'static str),
    Prepared(fn() -> LocalBoxFuture<'static, Prepared>),
}

impl Scenario {
    async fn made(self) -> Prepared {
        match self {
            Self::Plain(data) => Prepared { api: ManagerApi::open().await, data: data.into() },
            Self::Prepared(prepare) => prepare().await,
        }
    }
}

/// An entry whose state is made by a function of its own.
macro_rules! made {
    ($($making:tt)*) => { Prepared(|| async { $($making)*.await }.boxed_local()) };
}
use made;

/// Each pair of command and code.
fn scenarios() -> Vec<(&'static str, Code, Scenario)> {
    use Scenario::{Plain, Prepared};
    const UPDATE: &str = commands::correction::UPDATE.name;
    const DISMISS: &str = provider_event::DISMISS.name;
    const REPLAY: &str = provider_event::REPLAY.name;
    const REFUND: &str = refund::REFUND.name;
    const CANCEL: &str = refund::CANCEL.name;
    const APPROVE: &str = approval::APPROVE.name;
    const REJECT_CHANGE: &str = approval::REJECT.name;
    let absent = Plain(r#"{"id":99}"#);
    let euros = || Plain(r#"{"login":2000009,"amount":1,"currency":"EUR"}"#);
    let unknown_login = || Plain(r#"{"login":9,"amount":1,"currency":"USD"}"#);
    vec![
        (transaction::GET.name, Code::NotFound, absent),
        (commands::explain::TRANSACTION.name, Code::NotFound, Plain(r#"{"id":99}"#)),
        (commands::explain::METHODS.name, Code::NotFound, Plain(r#"{"login":9}"#)),
        (UPDATE, Code::NotFound, Plain(r#"{"id":99,"status":6}"#)),
        (UPDATE, Code::Duplicate, made!(money::pending(r#"{"id":1,"status":2}"#))),
        (UPDATE, Code::TooManyDecisions, made!(money::decided(money::pending(r#"{"id":1,"status":6}"#).await))),
        (DEPOSIT, Code::CurrencyConversionRequired, euros()),
        (DEPOSIT, Code::NotFound, unknown_login()),
        (DEPOSIT, Code::IdempotencyConflict, made!(money::entered_under_the_key(DEPOSIT))),
        (DEPOSIT, Code::Duplicate, made!(money::entered_of_the_payment(DEPOSIT))),
        (DEPOSIT, Code::OpenDepositExists, made!(money::pending(&entry("")))),
        (DEPOSIT, Code::TooManyDecisions, made!(money::decided(money::pending(&entry(r#""force":1"#)).await))),
        (WITHDRAWAL, Code::CurrencyConversionRequired, euros()),
        (WITHDRAWAL, Code::NotFound, unknown_login()),
        (WITHDRAWAL, Code::IdempotencyConflict, made!(money::entered_under_the_key(WITHDRAWAL))),
        (WITHDRAWAL, Code::Duplicate, made!(money::entered_of_the_payment(WITHDRAWAL))),
        (PROCESS, Code::NotFound, Plain(r#"{"id":99}"#)),
        (PROCESS, Code::Duplicate, made!(money::processed(r#"{"id":1}"#))),
        (PROCESS, Code::InsufficientBalance, made!(money::withdrawal_beyond_the_balance())),
        (PROCESS, Code::PostingRefused, made!(money::withdrawal_of_a_disabled_account())),
        (PROCESS, Code::TooManyDecisions, made!(money::decided(money::withdrawal_beyond_the_balance().await))),
        (REJECT, Code::NotFound, Plain(r#"{"id":99,"reject_reason":"r"}"#)),
        (REJECT, Code::Duplicate, made!(money::processed(r#"{"id":1,"reject_reason":"r"}"#))),
        (
            REJECT,
            Code::TooManyDecisions,
            made!(money::decided(money::waiting(r#"{"id":1,"reject_reason":"r"}"#).await)),
        ),
        (RETRY, Code::NotFound, Plain(r#"{"id":99}"#)),
        (RETRY, Code::Duplicate, made!(money::pending(r#"{"id":1}"#))),
        (RETRY, Code::InsufficientBalance, made!(money::refused_credit(ReasonCode::InsufficientBalance))),
        (RETRY, Code::PostingRefused, made!(money::refused_credit(ReasonCode::AccountDisabled))),
        (
            RETRY,
            Code::TooManyDecisions,
            made!(money::decided(money::refused_credit(ReasonCode::AccountDisabled).await)),
        ),
        (RETRY, Code::ProviderUnavailable, made!(money::released_and_unreachable())),
        (RESOLVE, Code::AmountOutOfRange, made!(money::paid_twice(money::TOO_MUCH, None))),
        (RESOLVE, Code::NotFound, Plain(r#"{"id":99,"action":"refuse","reason":"r"}"#)),
        (RESOLVE, Code::Duplicate, made!(money::pending(money::CLOSE))),
        (
            RESOLVE,
            Code::InsufficientBalance,
            made!(money::paid_twice(money::CLOSE, Some(ReasonCode::InsufficientBalance))),
        ),
        (RESOLVE, Code::PostingRefused, made!(money::paid_twice(money::CLOSE, Some(ReasonCode::AccountDisabled)))),
        (RESOLVE, Code::TooManyDecisions, made!(money::decided(money::paid_twice(money::CLOSE, None).await))),
        (RESOLVE, Code::ProviderUnavailable, made!(money::contradicted_and_unreachable())),
        (REFUND, Code::NotFound, Plain(r#"{"id":99,"reason":"r"}"#)),
        (REFUND, Code::IdempotencyConflict, made!(money::refunded_under_the_key())),
        (REFUND, Code::InsufficientBalance, made!(money::refused_debit(ReasonCode::InsufficientBalance))),
        (REFUND, Code::PostingRefused, made!(money::refused_debit(ReasonCode::AccountDisabled))),
        (REFUND, Code::RefundUnderWay, made!(money::refund_without_an_answer())),
        (REFUND, Code::WrongStatus, made!(money::pending(r#"{"id":1,"reason":"r"}"#))),
        (REFUND, Code::ProviderDeclined, made!(money::refund_answered(OnRefund::Decline))),
        (REFUND, Code::ProviderUnavailable, made!(money::refund_answered(OnRefund::NotSent))),
        (CANCEL, Code::NotFound, Plain(r#"{"id":99}"#)),
        (CANCEL, Code::WrongStatus, made!(money::credited(r#"{"id":1}"#))),
        (CANCEL, Code::ProviderDeclined, made!(money::cancel_answered(QueryAnswer::NotFound))),
        (CANCEL, Code::ProviderUnavailable, made!(money::cancel_answered(QueryAnswer::NoAnswer("down".into())))),
        (UPDATE, Code::TransactionChanged, made!(money::changed_since(r#""status":6"#))),
        (PROCESS, Code::TransactionChanged, made!(money::refused_since(""))),
        (REJECT, Code::TransactionChanged, made!(money::refused_since(r#""reject_reason":"r","#))),
        (RETRY, Code::TransactionChanged, made!(money::changed_since(r#""confirmed_absent":0"#))),
        (RESOLVE, Code::TransactionChanged, made!(money::changed_since(r#""action":"refuse","reason":"r""#))),
        (REFUND, Code::TransactionChanged, made!(money::changed_since(r#""reason":"r""#))),
        (CANCEL, Code::TransactionChanged, made!(money::changed_since(r#""reason":"r""#))),
        (config::UPDATE.name, Code::NotFound, Plain(r#"{"id":99,"enabled":0}"#)),
        (config::DELETE.name, Code::NotFound, Plain(r#"{"id":99}"#)),
        (config::DELETE.name, Code::ConfigInUse, Plain(r#"{"id":1,"for_good":1}"#)),
        (customer_override::GET.name, Code::NotFound, Plain(r#"{"id":99}"#)),
        (customer_override::UPDATE.name, Code::NotFound, Plain(r#"{"id":99,"mode":1}"#)),
        (REPLAY, Code::NotFound, Plain(r#"{"id":99}"#)),
        (DISMISS, Code::NotFound, Plain(r#"{"id":99,"reason":"r"}"#)),
        (DISMISS, Code::WrongStatus, made!(money::applied_event(r#"{"id":1,"reason":"r"}"#))),
        (REPLAY, Code::ProviderUnavailable, made!(money::event_of_a_module_that_does_not_work())),
        (APPROVE, Code::NotFound, Plain(r#"{"id":99}"#)),
        (APPROVE, Code::Duplicate, made!(second::rejected_change())),
        (APPROVE, Code::ApprovalStale, made!(second::expired_change())),
        (
            APPROVE,
            Code::InsufficientBalance,
            made!(second::refund_with(OnPost::RefuseFor(ReasonCode::InsufficientBalance), None)),
        ),
        (
            APPROVE,
            Code::PostingRefused,
            made!(second::refund_with(OnPost::RefuseFor(ReasonCode::AccountDisabled), None)),
        ),
        (APPROVE, Code::WrongStatus, made!(second::refund_disputed_before_its_call())),
        (APPROVE, Code::ProviderDeclined, made!(second::refund_with(OnPost::Accept, Some(OnRefund::Decline)))),
        (APPROVE, Code::ProviderUnavailable, made!(second::refund_with(OnPost::Accept, Some(OnRefund::NotSent)))),
        (REJECT_CHANGE, Code::NotFound, Plain(r#"{"id":99}"#)),
        (REJECT_CHANGE, Code::Duplicate, made!(second::rejected_change())),
        (REJECT_CHANGE, Code::ApprovalStale, made!(second::expired_change())),
        // A trading server that keeps its customers itself, as the test cashier's does.
        (roster::CUSTOMER.name, Code::NotFound, Plain(r#"{"customer_id":5,"brand":"ion4"}"#)),
        (roster::ACCOUNT.name, Code::NotFound, Plain(r#"{"login":2000009,"customer_id":5}"#)),
        (roster::GROUP.name, Code::NotFound, Plain(r#"{"group":"real","brand":"ion4"}"#)),
        (roster::IMPORT.name, Code::NotFound, Plain("{}")),
    ]
}

/// A session that may use the command, and asked for nothing before.
fn token(command: &Command) -> &'static str {
    if (command.may)(Role::Manager) { "manager#8" } else { "glass#8" }
}

#[tokio::test(start_paused = true)]
async fn every_error_that_a_command_declares_is_produced_by_a_request_to_it() {
    let scenarios = scenarios();
    let mut wrong = Vec::new();
    for command in COMMANDS {
        for code in command.errors {
            let count = scenarios.iter().filter(|(name, of, _)| (*name, of) == (command.name, code)).count();
            if count != 1 {
                wrong.push(format!("{} {}: {count} entries", command.name, code.text()));
            }
        }
    }
    for (name, code, scenario) in scenarios {
        let command = COMMANDS.iter().find(|command| command.name == name).unwrap();
        if !command.errors.contains(&code) {
            wrong.push(format!("{name} {}: it is not declared", code.text()));
            continue;
        }
        let Prepared { api, data } = scenario.made().await;
        let (number, answer) = api.command(token(command), name, &data).await;
        if (number, &answer["error"]) != (code.number(), &json!(code.text())) {
            wrong.push(format!("{name} {}: {data} is answered {number} {answer}", code.text()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(start_paused = true)]
async fn every_command_refuses_unknown_callers_wrong_roles_and_unknown_fields() {
    // Over databases: the embedded trading server reads rosters.
    let api = ManagerApi::over(TestCashier::with_bases(&[1]).await).await;
    for command in COMMANDS {
        let name = command.name;
        for (token, data, number, error) in [
            ("nobody", "{}", 401, "RET_UNAUTHORIZED"),
            ("customer", "{}", 403, "PERMISSION_DENIED"),
            ("user", "{}", 403, "PERMISSION_DENIED"),
            (token(command), r#"{"no such field":1}"#, 400, "INVALID_DATA"),
            (token(command), "[1]", 400, "INVALID_DATA"),
        ] {
            assert_eq!(api.error(token, name, data).await, (number, error.into()), "{name} as {token}: {data}");
        }
    }
}
