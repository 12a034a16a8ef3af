//! Decisions about transactions that wait for a second person: what was asked is what is done, once, or nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cashier_core::aggregate::Aggregate;
use cashier_core::approval::{APPROVAL_SECONDS, Approval, ApprovalState};
use cashier_core::change::Body;
use cashier_core::edit::SecondPerson;
use cashier_core::facts::PersonFact;
use cashier_core::ids::{ApprovalId, ManagerId, TransactionId};
use cashier_core::notice::Update;
use cashier_core::provider_config::Secret;
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::{ManagerSession, Role};
use cashier_core::status::ProviderStatus;

use super::logs::LogBuffer;
use crate::flows::ManagerAct;
use crate::flows::approvals::{WantedDecision, ask, begin, watch_managers};
use crate::flows::decisions::{Decision, decide};
use crate::test_cashier::{TestCashier, context, paid, update, usd};

const ID: TransactionId = TransactionId(1);

fn session(manager: u64, brand: Option<&str>) -> ManagerSession {
    ManagerSession::assertion(ManagerId(manager), Role::Manager, brand.map(Into::into))
}

fn act(session: ManagerSession, approval: Option<Arc<Approval>>) -> ManagerAct {
    ManagerAct { session, command: "MngResolveCashierDoubt", context: context(), approval, ground: None }
}

/// A credited deposit.
async fn credited() -> TestCashier {
    let env = TestCashier::new().await;
    env.deposit("k").await.unwrap();
    let reference = env.aggregate(ID).transaction.reference;
    env.notice(Some(1), vec![paid("evt_1", &reference)]).await.unwrap();
    env
}

async fn asked(env: &TestCashier, by: u64) -> Result<Approval, Refusal> {
    asked_on(env, by, env.aggregate(ID).ground()).await
}

/// For a request that was judged on this ground.
async fn asked_on(env: &TestCashier, by: u64, ground: u64) -> Result<Approval, Refusal> {
    let wanted = WantedDecision {
        request: Secret::new(r#"{"id":1,"reason":"CANARY"}"#),
        fields: "amount".into(),
        amount: Some(usd(500)),
        ground,
    };
    ask(&env.cashier, &act(session(by, None), None), ID, wanted).await
}

/// Approves as a command does that is made again with what was asked.
async fn approve(env: &TestCashier, session: ManagerSession, id: ApprovalId) -> Result<Aggregate, RefusalCode> {
    let (_deciding, open) = begin(&env.cashier, &session, id).map_err(|refusal| refusal.code)?;
    made(env, session, open).await
}

/// The same with an approval as it was read before.
async fn made(env: &TestCashier, session: ManagerSession, open: Arc<Approval>) -> Result<Aggregate, RefusalCode> {
    let act = act(session, Some(open));
    let decided = decide(&env.cashier, &act, ID, |draft, known| {
        draft.add(known.decide(PersonFact::Retried, draft.context()));
        Ok(Decision::default())
    });
    decided.await.map_err(|refusal| refusal.code)
}

fn decisions(env: &TestCashier) -> usize {
    env.aggregate(ID).transaction.facts.persons.len()
}

fn state(env: &TestCashier, id: ApprovalId) -> ApprovalState {
    env.cashier.snapshot().approval(id).unwrap().state_at(env.cashier.clock.now())
}

/// Who did what, by the records.
fn outcomes(env: &TestCashier) -> Vec<(u64, String, u64)> {
    let bodies = env.disk.bodies();
    let records = bodies.iter().filter_map(|body| if let Body::Audit(record) = body { Some(record) } else { None });
    records.map(|record| (record.manager_id.0, record.outcome.to_string(), record.approval.0)).collect()
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_is_done_once_and_never_by_the_one_who_asked() {
    let env = credited().await;
    let open = asked(&env, 7).await.unwrap();
    assert_eq!((open.transaction_id, open.amount, decisions(&env)), (ID, Some(usd(500)), 0), "nothing changed yet");
    assert_eq!(asked(&env, 7).await.unwrap(), open, "the same again is the same approval");
    assert_ne!(asked(&env, 9).await.unwrap().id, open.id, "of another person it is another one");
    assert_eq!(approve(&env, session(7, None), open.id).await.unwrap_err(), RefusalCode::PermissionDenied);
    assert_eq!(approve(&env, session(8, Some("other")), open.id).await.unwrap_err(), RefusalCode::NotFound);
    assert_eq!(decisions(&env), 0);
    approve(&env, session(8, None), open.id).await.unwrap();
    assert_eq!((decisions(&env), state(&env, open.id)), (1, ApprovalState::Approved));
    assert!(env.cashier.snapshot().approval(open.id).unwrap().request.is_empty(), "nobody needs it any more");
    assert_eq!(approve(&env, session(8, None), open.id).await.unwrap_err(), RefusalCode::Duplicate);
    let expected = [(7, "approval asked"), (9, "approval asked"), (8, "done")];
    let found = outcomes(&env);
    assert_eq!(found.iter().map(|(by, outcome, _)| (*by, &**outcome)).collect::<Vec<_>>(), expected);
    assert_eq!(found[2].2, open.id.0, "the record names the approval");
    assert!(!format!("{found:?}").contains("CANARY"));
}

#[tokio::test(start_paused = true)]
async fn a_new_fact_makes_it_stale_and_a_notice_that_states_nothing_new_does_not() {
    let env = credited().await;
    let reference = env.aggregate(ID).transaction.reference;
    let open = asked(&env, 7).await.unwrap();
    // The same payment under another event.
    env.notice(Some(1), vec![paid("evt_2", &reference)]).await.unwrap();
    approve(&env, session(8, None), open.id).await.unwrap();

    let stale = asked(&env, 7).await.unwrap();
    let again = paid("evt_3", &reference);
    let second = Update { payment_id: "another".into(), ..again };
    env.notice(Some(1), vec![second]).await.unwrap();
    assert_eq!(approve(&env, session(8, None), stale.id).await.unwrap_err(), RefusalCode::ApprovalStale);
    assert_eq!((decisions(&env), state(&env, stale.id)), (1, ApprovalState::Open), "it can be rejected");

    let stale = asked(&env, 7).await.unwrap();
    env.decide(ID, PersonFact::Retried).await;
    assert_eq!(approve(&env, session(8, None), stale.id).await.unwrap_err(), RefusalCode::ApprovalStale);
    let old = asked(&env, 7).await.unwrap();
    env.clock.advance(Duration::from_secs(APPROVAL_SECONDS.cast_unsigned()));
    assert_eq!(approve(&env, session(8, None), old.id).await.unwrap_err(), RefusalCode::ApprovalStale, "it is expired");
    // A status that moves no money: the order was declined once more at the provider.
    let open = asked(&env, 7).await.unwrap();
    let declined = Update { reference: Some(reference.clone()), ..update("evt_4", ProviderStatus::Failed) };
    env.notice(Some(1), vec![declined]).await.unwrap();
    approve(&env, session(8, None), open.id).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn of_two_who_decide_at_once_one_decides_also_where_both_read_it_as_open() {
    let env = credited().await;
    let open = asked(&env, 7).await.unwrap();
    let (first, row) = begin(&env.cashier, &session(8, None), open.id).unwrap();
    let second = begin(&env.cashier, &session(9, None), open.id).map(drop).unwrap_err();
    assert_eq!(second.code, RefusalCode::Duplicate, "while it is being decided");
    drop(first);
    // Were there no such guard, the ground would still decide.
    let (one, other) = tokio::join!(made(&env, session(8, None), Arc::clone(&row)), made(&env, session(9, None), row));
    assert_eq!([one.is_ok(), other.is_ok()].into_iter().filter(|is_ok| *is_ok).count(), 1);
    assert_eq!(decisions(&env), 1);
}

#[tokio::test(start_paused = true)]
async fn an_approval_and_its_decision_are_durable_together_or_not_at_all() {
    let mut env = credited().await;
    let open = asked(&env, 7).await.unwrap();
    env.crash().await;
    assert_eq!(state(&env, open.id), ApprovalState::Open, "it survives a restart");
    // The process ends while the commit is on its way to the disk.
    env.disk.held.store(true, Ordering::SeqCst);
    let (cashier, row) = (Arc::clone(&env.cashier), begin(&env.cashier, &session(8, None), open.id).unwrap().1);
    let lost = tokio::spawn(async move {
        let act = act(session(8, None), Some(row));
        let judged = |draft: &mut cashier_core::draft::Draft<'_>, known: &Aggregate| {
            draft.add(known.decide(PersonFact::Retried, draft.context()));
            Ok(Decision::default())
        };
        decide(&cashier, &act, ID, judged).await.map(drop)
    });
    tokio::task::yield_now().await;
    env.crash().await;
    lost.abort();
    assert_eq!((decisions(&env), state(&env, open.id)), (0, ApprovalState::Open));
    approve(&env, session(8, None), open.id).await.unwrap();
    env.crash().await;
    assert_eq!((decisions(&env), state(&env, open.id)), (1, ApprovalState::Approved));
}

#[tokio::test(start_paused = true)]
async fn whoever_owns_the_host_approves_alone_and_it_is_recorded_so() {
    let env = credited().await;
    let open = asked(&env, 7).await.unwrap();
    approve(&env, session(7, None).breaking_glass(), open.id).await.unwrap();
    assert_eq!(outcomes(&env).pop().unwrap(), (7, "break glass".to_owned(), open.id.0));
    assert_eq!(env.cashier.archive.sole_manager().await.unwrap(), Some(ManagerId(7)));
    asked(&env, 8).await.unwrap();
    assert_eq!(env.cashier.archive.sole_manager().await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_of_another_brand_cannot_be_asked_about() {
    let env = credited().await;
    let wanted = WantedDecision { request: Secret::new("{}"), fields: "amount".into(), amount: None, ground: 0 };
    let refused = ask(&env.cashier, &act(session(7, Some("other")), None), ID, wanted).await.unwrap_err();
    assert_eq!((refused.code, outcomes(&env).len()), (RefusalCode::NotFound, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_stated_between_judging_a_request_and_asking_for_it_makes_its_approval_stale() {
    let env = credited().await;
    let judged = env.aggregate(ID).ground();
    let reference = env.aggregate(ID).transaction.reference;
    let second = Update { payment_id: "pay_2".into(), ..paid("evt_2", &reference) };
    env.notice(Some(1), vec![second]).await.unwrap();
    let late = asked_on(&env, 7, judged).await.unwrap();
    assert_eq!(approve(&env, session(8, None), late.id).await.unwrap_err(), RefusalCode::ApprovalStale);
    let again = asked(&env, 7).await.unwrap();
    assert_ne!(again.id, late.id, "judged on what is known now");
    assert!(approve(&env, session(8, None), again.id).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn that_one_manager_alone_was_seen_is_a_warning_where_a_second_person_is_needed() {
    const DAY: u64 = 24 * 60 * 60;
    let (log, _guard) = LogBuffer::capture();
    let warnings = || log.lines("one_manager_alone").len();
    let mut env = credited().await;
    asked(&env, 7).await.unwrap();
    let watch = |env: &TestCashier| tokio::spawn(watch_managers(Arc::clone(&env.cashier)));
    watch(&env);
    env.run_for(DAY + 1).await;
    assert_eq!(warnings(), 0, "the settings ask for nobody");

    env.ask_for_second_person(SecondPerson::from_names(SecondPerson::NAMES).unwrap()).await;
    let watching = watch(&env);
    env.run_for(DAY - 1).await;
    let lines = log.lines("one_manager_alone");
    assert!(lines.len() == 1 && lines[0].starts_with("WARN") && lines[0].contains("manager=7"), "{lines:?}");
    env.run_for(2).await;
    assert_eq!(warnings(), 2, "once a day");
    asked(&env, 8).await.unwrap();
    env.run_for(2 * DAY).await;
    assert_eq!(warnings(), 2, "two were seen");
    watching.abort();
    watch(&env);
    env.run_for(1).await;
    assert_eq!(warnings(), 2, "also at the next start");
}
