//! The command that the explanation and the work list name next is one that is accepted in that state: every reason of a
//! transaction is brought about, also under a status that a person wrote, and each named command is run.

mod states;

use cashier_core::duty::REVIEW_ANSWER_SECONDS;
use cashier_core::facts::PersonFact;
use cashier_core::ids::TransactionId;
use cashier_core::reason::{ReasonCode as R, ReasonScope};
use cashier_core::status::TransactionStatus;

use self::states::in_state;
pub(super) use self::states::lost;
use super::manual::{DEPOSIT, PROCESS, REJECT, WITHDRAWAL};
use super::review::{RESOLVE, RETRY};
use super::*;
use crate::test_cashier::{OnPost, lock};

const EXPLAIN: &str = "MngExplainCashierTransaction";
const DUTIES: &str = "MngGetCashierDutiesByFilter";
const UPDATE: &str = "MngUpdateCashierTransaction";
const REFUND: &str = "MngRefundCashierTransaction";
/// The retry of a posting without an answer, as the list names it.
const RETRY_UNANSWERED: &str = "MngRetryCashierCredit with confirmed_absent";

/// Requests of a command that its sentence offers; each of them must be accepted.
fn requests(command: &str, id: u64) -> Vec<(String, String)> {
    let data = match command {
        "" => Vec::new(),
        RETRY | PROCESS => vec!["".to_owned()],
        RETRY_UNANSWERED => return vec![(RETRY.to_owned(), format!(r#"{{"id":{id},"confirmed_absent":1}}"#))],
        RESOLVE => vec![
            r#","action":"refuse","reason":"r""#.to_owned(),
            r#","action":"credit","amount":100.0,"reason":"r""#.to_owned(),
        ],
        UPDATE => vec![r#","status":1"#.to_owned(), r#","status":6"#.to_owned()],
        REFUND => vec![r#","reason":"r""#.to_owned()],
        other => panic!("{other} is named, and nothing here runs it"),
    };
    let mut requests: Vec<_> =
        data.into_iter().map(|more| (command.to_owned(), format!(r#"{{"id":{id}{more}}}"#))).collect();
    if command == PROCESS {
        requests.push((REJECT.to_owned(), format!(r#"{{"id":{id},"reject_reason":"r"}}"#)));
    }
    requests
}

/// What the explanation names, and what the work list names of this transaction.
async fn named(api: &ManagerApi, id: u64) -> (String, Vec<String>, Value) {
    let explained = api.ran(EXPLAIN, &format!(r#"{{"id":{id}}}"#)).await;
    let listed = api.ran(DUTIES, &json!({"where": [["transaction_id", "=", id]]}).to_string()).await;
    let commands = listed["rows"].as_array().unwrap().iter().map(|row| match row["kind"].as_str().unwrap() {
        "posting_unknown" if row["command"] == RETRY => RETRY_UNANSWERED.to_owned(),
        _ => row["command"].as_str().unwrap().to_owned(),
    });
    let summary = explained["summary"].clone();
    for review in listed["rows"].as_array().unwrap().iter().filter(|row| row["kind"] == "review") {
        let by_nobody = review["command"] == "";
        assert_eq!(review["command"], summary["command"], "the list and the explanation name one command: {summary}");
        assert_eq!(review["waits_for"], if by_nobody { "provider" } else { "person" }, "{review}");
    }
    (summary["command"].as_str().unwrap().to_owned(), commands.collect(), summary)
}

/// Runs everything that is named, each on a payment of its own; what was refused.
async fn refused(what: &str, make: impl AsyncFn() -> (ManagerApi, u64)) -> Vec<String> {
    let (api, id) = make().await;
    let (command, listed, summary) = named(&api, id).await;
    let manager = summary["manager"].as_str().unwrap();
    let mut wrong = Vec::new();
    if !command.is_empty() && !manager.contains(&command) {
        wrong.push(format!("{what}: the sentence does not name {command}: {manager}"));
    }
    let mut commands = [vec![command], listed].concat();
    commands.sort_unstable();
    commands.dedup();
    for (name, data) in commands.iter().flat_map(|command| requests(command, id)) {
        let (api, _) = make().await;
        let (number, answer) = api.said(&name, &data).await;
        if number != 200 {
            wrong.push(format!("{what}: {name} {data} is answered {number} {answer}; named {commands:?}: {manager}"));
        }
    }
    wrong
}

fn reasons() -> impl Iterator<Item = R> {
    let all = [R::None].into_iter().chain(R::ALL.iter().copied());
    all.filter(|code| code.scope() == ReasonScope::Transaction)
}

#[tokio::test(start_paused = true)]
async fn a_review_that_the_provider_ends_waits_for_no_person() {
    for (code, command, waits_for) in [
        (R::AmountUnstated, "", "provider"),
        (R::ProviderInReview, "", "provider"),
        (R::OutcomeUnknown, RESOLVE, "person"),
    ] {
        let (api, id) = in_state(code).await;
        let (named, listed, summary) = named(&api, id).await;
        assert_eq!(
            (named.as_str(), listed.iter().any(|name| !name.is_empty())),
            (command, !command.is_empty()),
            "{summary}"
        );
        let count = async |waits_for: &str| {
            let conditions = json!({"where": [["kind", "=", "review"], ["waits_for", "=", waits_for]]}).to_string();
            api.ran(DUTIES, &conditions).await["count"].clone()
        };
        assert_eq!(count(waits_for).await, 1, "{code:?}");
        api.env.clock.advance(std::time::Duration::from_secs(REVIEW_ANSWER_SECONDS.cast_unsigned()));
        let (named, listed, summary) = self::named(&api, id).await;
        assert!(
            named == RESOLVE && listed.iter().any(|name| name == RESOLVE),
            "after a day a person is asked: {summary}"
        );
        assert_eq!(count("person").await, 1, "{code:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_command_that_is_named_next_is_accepted_under_every_reason() {
    let mut wrong = Vec::new();
    for code in reasons() {
        let (api, id) = in_state(code).await;
        let row = api.env.aggregate(TransactionId(id)).transaction;
        if row.reason.code != code {
            wrong.push(format!("{code:?} was not brought about: {} {}", row.status.name(), row.reason));
        }
        wrong.extend(refused(&format!("{code:?}"), async || in_state(code).await).await);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(start_paused = true)]
async fn the_command_that_is_named_next_is_accepted_under_every_status_that_a_person_wrote() {
    let mut wrong = Vec::new();
    for code in reasons() {
        for &status in TransactionStatus::ALL {
            for is_released in [false, true] {
                let written = async || {
                    let (api, id) = in_state(code).await;
                    api.env.decide(TransactionId(id), PersonFact::Held(status)).await;
                    if is_released {
                        api.env.decide(TransactionId(id), PersonFact::Released).await;
                    }
                    (api, id)
                };
                let what = format!("{code:?} written {} released {is_released}", status.name());
                wrong.extend(refused(&what, written).await);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(start_paused = true)]
async fn the_command_that_is_named_next_is_accepted_of_manual_transactions() {
    let mut wrong = Vec::new();
    for name in [DEPOSIT, WITHDRAWAL] {
        for state in ["waits", "refused", "key conflict", "lost", "posted", "unanswered"] {
            let made = async || {
                let mut api = ManagerApi::open().await;
                let now = if state == "waits" { "" } else { r#""process_now":1"# };
                match state {
                    "refused" => lock(&api.env.trading.next_posts).push_back(OnPost::RefuseFor(R::AccountDisabled)),
                    "key conflict" => {
                        lock(&api.env.trading.next_posts).push_back(OnPost::RefuseFor(R::OperationKeyReused));
                    }
                    // It does not answer, and nothing arrives.
                    "unanswered" => lock(&api.env.trading.next_posts).push_back(OnPost::NeverArrives),
                    _ => {}
                }
                let id = api.entered(name, now).await;
                if state == "lost" {
                    lost(&mut api, id).await;
                }
                (api, id)
            };
            wrong.extend(refused(&format!("{name} {state}"), &made).await);
            for status in [3, 6, 9] {
                let held = async || {
                    let (api, id) = made().await;
                    let status = TransactionStatus::from_number(status).unwrap();
                    api.env.decide(TransactionId(id), PersonFact::Held(status)).await;
                    (api, id)
                };
                wrong.extend(refused(&format!("{name} {state} held {status}"), held).await);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
