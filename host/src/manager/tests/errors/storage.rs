//! A disk that fails under a command that changes something: 503, nothing is changed, and the same request does it once the disk works.

use std::sync::atomic::Ordering;

use cashier_core::status::ProviderStatus;

use super::*;
use crate::manager::command::Effect;
use crate::test_cashier::{lock, paid, update};
use crate::wire::customer_override::tests::PUBLISHED_REQUEST;

/// For each command that changes something a state in which it does.
fn changing() -> Vec<(&'static str, Scenario)> {
    use Scenario::{Plain, Prepared};
    const GROUP: &str = r#"{"group":"new","brand":"ion4","currency":"USD","account_mode":1,"enable":1}"#;
    const CUSTOMER: &str =
        r#"{"customer_id":6,"country":"DE","brand":"ion4","status":0,"deposit_allowed":1,"withdrawal_allowed":1}"#;
    const ACCOUNT: &str = r#"{"login":2000099,"customer_id":5,"group":"real","enable":1}"#;
    vec![
        (commands::correction::UPDATE.name, made!(money::pending(r#"{"id":1,"status":6}"#))),
        (DEPOSIT, made!(plain(&entry(r#""process_now":1"#)))),
        (WITHDRAWAL, made!(plain(&entry(r#""process_now":1"#)))),
        (PROCESS, made!(money::waiting(r#"{"id":1}"#))),
        (REJECT, made!(money::waiting(r#"{"id":1,"reject_reason":"r"}"#))),
        (RETRY, made!(refused_before())),
        (RESOLVE, made!(money::paid_twice(money::CLOSE, None))),
        (refund::REFUND.name, made!(money::credited(r#"{"id":1,"reason":"r"}"#))),
        (refund::CANCEL.name, made!(cancelled_by_the_provider())),
        (config::ADD.name, Plain(r#"{"provider":"stripe","brand":"ion4","secret_key":"CANARY","enabled":1}"#)),
        (config::UPDATE.name, Plain(r#"{"id":1,"enabled":0}"#)),
        (config::DELETE.name, Plain(r#"{"id":1}"#)),
        (customer_override::UPDATE.name, Plain(PUBLISHED_REQUEST)),
        (provider_event::REPLAY.name, made!(recoverable())),
        (provider_event::DISMISS.name, made!(of_another_shop())),
        (approval::APPROVE.name, made!(second::asked_change())),
        (approval::REJECT.name, made!(second::asked_change())),
        (roster::GROUP.name, made!(over_bases(GROUP))),
        (roster::CUSTOMER.name, made!(over_bases(CUSTOMER))),
        (roster::ACCOUNT.name, made!(over_bases(ACCOUNT))),
        (roster::IMPORT.name, made!(over_bases(&format!(r#"{{"groups":[{GROUP}],"accounts":[{ACCOUNT}]}}"#)))),
    ]
}

async fn plain(data: &str) -> Prepared {
    Prepared { api: ManagerApi::open().await, data: data.into() }
}

async fn over_bases(data: &str) -> Prepared {
    Prepared { api: ManagerApi::over(TestCashier::with_bases(&[1]).await).await, data: data.into() }
}

/// A credit that was refused, and would be made now.
async fn refused_before() -> Prepared {
    let made = money::refused_credit(ReasonCode::AccountDisabled).await;
    lock(&made.api.env.trading.next_posts).clear();
    made
}

async fn cancelled_by_the_provider() -> Prepared {
    let stated = update("", ProviderStatus::Cancelled);
    money::cancel_answered(QueryAnswer::Stated(Box::new(stated))).await
}

/// Event 1, a confirmation that was rejected and would be verified now.
async fn recoverable() -> Prepared {
    let Prepared { api, .. } = money::pending("").await;
    api.env.raw_notice(Some(1), "lost 1".to_owned()).await.unwrap_err();
    api.env.run_for(1).await;
    let reference = api.env.aggregate(cashier_core::ids::TransactionId(1)).transaction.reference;
    lock(&api.env.provider.understood).insert("lost 1".to_owned(), vec![paid("evt_1", &reference)]);
    Prepared { api, data: r#"{"id":1}"#.into() }
}

/// Event 1, a payment that no transaction has and that has waited for one long enough.
async fn of_another_shop() -> Prepared {
    let api = ManagerApi::open().await;
    let sale = paid("evt_shop", &cashier_core::ids::Reference::from_random(9));
    let sale = cashier_core::notice::Update { reference: None, payment_id: "pay_shop".into(), ..sale };
    api.env.notice(Some(1), vec![sale]).await.unwrap();
    api.env
        .clock
        .advance(std::time::Duration::from_secs(cashier_core::duty::UNKNOWN_EVENT_SECONDS.cast_unsigned() + 10));
    api.env.run_for(10).await;
    Prepared { api, data: r#"{"id":1,"reason":"a sale of the web shop"}"#.into() }
}

/// Everything that a command may change: what is stored, what was posted, and what the provider was asked to do.
async fn state(api: &ManagerApi) -> String {
    let lists = [config::LIST.name, customer_override::LIST.name, approval::LIST.name, provider_event::LIST.name];
    let mut state = format!("{:?}\n{:?}\n", api.env.aggregates(), api.env.trading.postings());
    for list in lists {
        let (number, answer) = api.command("manager#70", list, "{}").await;
        assert_eq!(number, 200, "{list}: {answer}");
        state += &format!("{answer}\n");
    }
    let provider = &api.env.provider;
    let cancels = provider.cancels.load(Ordering::SeqCst);
    state + &format!("{:?} {cancels}", lock(&provider.refunds))
}

/// Every record of who did what.
async fn records(api: &ManagerApi) -> Value {
    let (number, answer) = api.command("manager#70", commands::audit::LIST.name, "{}").await;
    assert_eq!(number, 200, "{answer}");
    answer
}

#[tokio::test(start_paused = true)]
async fn a_command_whose_change_cannot_be_stored_changes_nothing_and_is_done_once_it_can() {
    let scenarios = changing();
    for command in COMMANDS.iter().filter(|command| command.effect == Effect::Changes) {
        assert_eq!(scenarios.iter().filter(|(name, _)| *name == command.name).count(), 1, "{}", command.name);
    }
    let mut wrong = Vec::new();
    for (name, scenario) in scenarios {
        let command = COMMANDS.iter().find(|command| command.name == name).unwrap();
        let Prepared { api, data } = scenario.made().await;
        // What its state was made of is durable.
        api.env.run_for(2).await;
        let (before, recorded) = (state(&api).await, records(&api).await);
        api.env.disk.fail_in.store(1, Ordering::SeqCst);
        let refused = api.error(token(command), name, &data).await;
        if refused != (503, "STORAGE_UNAVAILABLE".into()) {
            wrong.push(format!("{name}: {refused:?} while the disk fails"));
        }
        api.env.run_for(2).await;
        if state(&api).await != before {
            wrong.push(format!("{name}: changed\n{before}\n to \n{}", state(&api).await));
        }
        if records(&api).await != recorded {
            wrong.push(format!("{name}: recorded as done or refused: {}", records(&api).await));
        }
        let (number, answer) = api.command(token(command), name, &data).await;
        api.env.run_for(2).await;
        if !(200..300).contains(&number) {
            wrong.push(format!("{name}: {number} {answer} once the disk works"));
        } else if !ROSTERS.contains(&name) && state(&api).await == before {
            wrong.push(format!("{name}: it would have changed nothing"));
        } else if ROSTERS.contains(&name) && !answer.to_string().contains(r#""added":1"#) {
            wrong.push(format!("{name}: it was there before: {answer}"));
        } else if records(&api).await == recorded {
            wrong.push(format!("{name}: done without a record"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// What these change is shown by no list: the second answer says that the row was not there.
const ROSTERS: [&str; 4] = [roster::GROUP.name, roster::CUSTOMER.name, roster::ACCOUNT.name, roster::IMPORT.name];
