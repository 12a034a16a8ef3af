//! What happens to a posting beside lost messages: restarts, accounts that change, dealers, refusals, and what cannot be searched.

use std::time::Duration;

use cashier_core::account::AccountMode;
use cashier_core::operation::{PostingFlaw, PostingOutcome};
use cashier_core::reason::ReasonCode;
use cashier_core::status::OperationStatus;
use cashier_fake_platform::{FakePlatform, FakeState, Manner};

use super::flow::{MINOR, deposit, only_on, opened, posting, settings, settle, settle_for_long};
use crate::ports::{Durable, PostStep, Posting, Voiding};
use crate::trading::platform::PlatformPhases::{One, Two};
use crate::trading::platform::server::PlatformServer;
use crate::trading::platform::{PlatformKeyForm, PlatformSearch, PlatformSettings};
use crate::trading::remote::RemoteServer;

const CREATE: &str = "MngCreateFinanceRequest";
const APPROVE: &str = "MngApproveFinanceRequest";
const DECLINE: &str = "MngDeclineFinanceRequest";

/// What happens to the platform.
type Change = fn(&mut FakeState);

pub(super) async fn prepared(server: &PlatformServer, due: &mut Posting) {
    let PostStep::Prepared { request_order } = server.post(Durable::assertion(due.clone())).await else {
        panic!("no request was made")
    };
    due.operation.request_order = request_order;
}

pub(super) async fn void(server: &PlatformServer, due: &Posting) -> Result<Voiding, String> {
    let voided = server.void(Durable::assertion(due.clone()), ReasonCode::Withheld).await;
    voided.map_err(|fault| fault.what)
}

pub(super) fn refused(reason: &str) -> Option<PostingOutcome> {
    Some(PostingOutcome::Refused { reason: reason.into() })
}

fn other_owner(state: &mut FakeState) {
    state.accounts.get_mut(&100).unwrap().customer = 6;
}

#[tokio::test(start_paused = true)]
async fn a_request_moves_nothing_until_its_number_is_recorded_and_it_is_approved() {
    let fake = FakePlatform::new();
    let running = opened(&fake, settings(Two));
    let mut due = deposit();
    prepared(&running.server, &mut due).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!((fake.balance(100), fake.in_state(17)), (0, 1), "a pending one that is wanted is not swept");
    let order = fake.state().orders[0].clone();
    assert_eq!((order.source.as_str(), order.uuid.as_str()), ("cashier", due.key().as_str()));
    let outcome = settle(&running.server, &mut due, false).await;
    assert_eq!(outcome, Some(PostingOutcome::posted(order.order)));
    assert_eq!((fake.balance(100), fake.received(CREATE)), (MINOR, 1));
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_the_platform_with_its_postings_changes_nothing() {
    for phases in [Two, One] {
        let fake = FakePlatform::new();
        let running = opened(&fake, settings(phases));
        let mut due = deposit();
        settle(&running.server, &mut due, false).await;
        fake.restart(true);
        due.operation.status = OperationStatus::Unknown;
        let outcome = settle_for_long(&running.server, &mut due).await;
        assert!(matches!(outcome, Some(PostingOutcome::Posted { flaw: None, .. })), "{phases:?}: {outcome:?}");
        assert_eq!(fake.balance(100), MINOR, "{phases:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_recorded_request_that_the_platform_forgot_is_unknown_and_never_made_anew() {
    let fake = FakePlatform::new();
    let running = opened(&fake, settings(Two));
    let mut due = deposit();
    prepared(&running.server, &mut due).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    fake.restart(false);
    let outcome = settle_for_long(&running.server, &mut due).await;
    assert_eq!((outcome, fake.received(CREATE), fake.balance(100)), (Some(PostingOutcome::Unknown), 1, 0));
    let Ok(Voiding::Undecided { closed_for: Some(closed) }) = void(&running.server, &due).await else {
        panic!("a person may not decide")
    };
    assert!(closed > Duration::from_secs(600), "{closed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_posting_in_one_call_that_the_platform_forgot_is_never_sent_again() {
    let fake = FakePlatform::new();
    fake.script(&[("BalanceInSync", Manner::NeverAnswers)]);
    let running = opened(&fake, settings(One));
    let mut due = deposit();
    assert_eq!(settle(&running.server, &mut due, false).await, Some(PostingOutcome::Unknown));
    assert_eq!(settle(&running.server, &mut due, true).await, Some(PostingOutcome::posted(1001)), "it is found first");
    due.operation.status = OperationStatus::Unknown;
    fake.restart(false);
    assert_eq!(settle_for_long(&running.server, &mut due).await, None);
    assert_eq!((fake.received("BalanceInSync"), fake.balance(100)), (1, 0));
    let Ok(Voiding::Undecided { closed_for: Some(closed) }) = void(&running.server, &due).await else {
        panic!("a person may not decide")
    };
    assert!(closed > Duration::from_secs(600), "{closed:?}");
}

#[tokio::test(start_paused = true)]
async fn an_account_that_changes_before_the_approval_is_not_posted_to() {
    let table: [(Change, &str); 5] = [
        (other_owner, "OWNER_MISMATCH"),
        (|state| state.accounts.get_mut(&100).unwrap().customer = 0, "ACCOUNT_NOT_FOUND"),
        (|state| state.accounts.get_mut(&100).unwrap().currency = "EUR", "CURRENCY_MISMATCH"),
        (|state| state.accounts.get_mut(&100).unwrap().group = "demo", "LIVE_ON_DEMO_ACCOUNT"),
        (|state| state.accounts.retain(|login, _| *login != 100), "ACCOUNT_NOT_FOUND"),
    ];
    for (change, reason) in table {
        let fake = FakePlatform::new();
        let running = opened(&fake, settings(Two));
        let mut due = only_on(AccountMode::Real);
        prepared(&running.server, &mut due).await;
        change(&mut fake.state());
        assert_eq!(settle(&running.server, &mut due, false).await, refused(reason));
        assert_eq!((fake.in_state(18), fake.in_state(17), fake.received(APPROVE)), (1, 0, 0), "{reason}");
        assert!(fake.state().orders[0].comment.contains(reason));
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_changes_with_the_posting_is_a_review() {
    for (phases, command) in [(Two, APPROVE), (One, "BalanceInSync")] {
        let fake = FakePlatform::new();
        fake.script(&[(command, Manner::Then(other_owner))]);
        let running = opened(&fake, settings(phases));
        let outcome = settle(&running.server, &mut deposit(), false).await;
        let flaw = Some(PostingFlaw::AccountChanged);
        assert_eq!(outcome, Some(PostingOutcome::Posted { trade_order: 1001, flaw }), "{phases:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_posting_whose_account_cannot_be_read_afterwards_is_a_review() {
    for (phases, command) in [(Two, APPROVE), (One, "BalanceInSync")] {
        for is_found in [false, true] {
            let fake = FakePlatform::new();
            fake.script(&[(command, Manner::Then(|state| state.accounts.get_mut(&100).unwrap().currency = "odd"))]);
            let running = opened(&fake, settings(phases));
            let mut due = deposit();
            let posted = settle(&running.server, &mut due, false).await;
            let outcome = if is_found { running.server.find(&due).await.unwrap() } else { posted };
            let flaw = Some(PostingFlaw::AccountChanged);
            assert_eq!(outcome, Some(PostingOutcome::Posted { trade_order: 1001, flaw }), "{phases:?} {is_found}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dealer_who_approves_a_duplicate_makes_a_review() {
    let fake = FakePlatform::new();
    fake.script(&[(CREATE, Manner::ArrivesLate(8_000))]);
    let running = opened(&fake, settings(Two));
    let mut due = deposit();
    assert_eq!(settle(&running.server, &mut due, false).await, Some(PostingOutcome::Unknown));
    // The next asks, finds nothing, and makes another; then the first arrives.
    prepared(&running.server, &mut due).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    fake.state().dealer_approves(|_| true);
    let Some(PostingOutcome::Posted { trade_order, flaw: Some(PostingFlaw::Twice { other }) }) =
        settle(&running.server, &mut due, false).await
    else {
        panic!("two orders moved the balance")
    };
    assert_eq!(trade_order, due.operation.request_order);
    assert_ne!(trade_order, other);
    assert_eq!(fake.balance(100), 2 * MINOR);
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_that_a_dealer_approved_first_wins_over_the_recorded_number() {
    let fake = FakePlatform::new();
    fake.script(&[(CREATE, Manner::ArrivesLate(8_000))]);
    let running = opened(&fake, settings(Two));
    let mut due = deposit();
    settle(&running.server, &mut due, false).await;
    prepared(&running.server, &mut due).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let late = fake.state().orders.iter().map(|order| order.order).find(|order| *order != due.operation.request_order);
    fake.state().dealer_approves(|order| Some(order.order) == late);
    let outcome = settle(&running.server, &mut due, false).await;
    assert_eq!(outcome, Some(PostingOutcome::posted(late.unwrap())));
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!((fake.balance(100), fake.in_state(17), fake.received(APPROVE)), (MINOR, 0, 0), "the other is swept");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_a_dealer_declines_is_refused() {
    let fake = FakePlatform::new();
    let running = opened(&fake, settings(Two));
    let mut due = deposit();
    prepared(&running.server, &mut due).await;
    fake.state().orders[0].state = 18;
    assert_eq!(settle(&running.server, &mut due, false).await, refused("DECLINED_AT_TRADING_SERVER"));
}

#[tokio::test(start_paused = true)]
async fn what_the_settings_name_as_a_refusal_is_one_and_leaves_nothing_pending() {
    for (phases, command) in [(Two, CREATE), (Two, APPROVE), (One, "BalanceInSync")] {
        let fake = FakePlatform::new();
        fake.script(&[(command, Manner::Refuses(13, "NO_MONEY"))]);
        let running = opened(&fake, settings(phases));
        assert_eq!(settle(&running.server, &mut deposit(), false).await, refused("NO_MONEY"), "{command}");
        assert_eq!((fake.balance(100), fake.in_state(17)), (0, 0), "{command}");
    }
}

#[tokio::test(start_paused = true)]
async fn voiding_declines_what_is_pending_and_keeps_what_was_posted() {
    let fake = FakePlatform::new();
    let running = opened(&fake, settings(Two));
    let mut due = deposit();
    prepared(&running.server, &mut due).await;
    fake.script(&[(DECLINE, Manner::NeverAnswers)]);
    let settled = |outcome: Option<PostingOutcome>| Ok(Voiding::Settled(outcome.unwrap()));
    assert_eq!(void(&running.server, &due).await, settled(refused("WITHHELD")), "its state says so");
    assert_eq!(void(&running.server, &due).await, settled(refused("WITHHELD")));
    let mut other = posting(2, 100, MINOR);
    settle(&running.server, &mut other, false).await;
    assert_eq!(void(&running.server, &other).await, settled(Some(PostingOutcome::posted(1002))));
    assert_eq!(fake.balance(100), MINOR);
}

#[tokio::test(start_paused = true)]
async fn the_reason_of_a_refusal_is_ours_where_the_platform_keeps_no_comment() {
    let fake = FakePlatform::new();
    fake.state().drops_comments = true;
    let running = opened(&fake, settings(Two));
    let mut due = deposit();
    prepared(&running.server, &mut due).await;
    assert_eq!(settle(&running.server, &mut due, true).await, refused("WITHHELD"));
    assert_eq!(fake.in_state(18), 1);
}

#[tokio::test(start_paused = true)]
async fn voiding_waits_for_a_request_that_is_approved() {
    let fake = FakePlatform::new();
    let running = opened(&fake, settings(Two));
    let mut due = deposit();
    prepared(&running.server, &mut due).await;
    fake.state().orders[0].state = 10;
    let undecided = void(&running.server, &due).await;
    assert!(undecided.as_ref().is_err_and(|why| why.contains("finance order 1001")), "{undecided:?}");
    assert_eq!(running.server.find(&due).await, Ok(Some(PostingOutcome::Unknown)));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_arrives_after_its_key_was_voided_is_swept() {
    let fake = FakePlatform::new();
    fake.script(&[(CREATE, Manner::ArrivesLate(40_000))]);
    let running = opened(&fake, settings(Two));
    let mut due = deposit();
    settle(&running.server, &mut due, false).await;
    assert_eq!(settle(&running.server, &mut due, true).await, refused("WITHHELD"));
    tokio::time::sleep(Duration::from_secs(180)).await;
    assert_eq!((fake.in_state(17), fake.in_state(18), fake.balance(100)), (0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_key_with_other_values_that_cannot_move_any_more_is_a_conflict() {
    for phases in [Two, One] {
        let fake = FakePlatform::new();
        let running = opened(&fake, settings(phases));
        settle(&running.server, &mut posting(1, 100, 100), false).await;
        fake.state().orders[0].state = 18;
        let outcome = settle(&running.server, &mut deposit(), false).await;
        assert_eq!((outcome, fake.balance(100)), (Some(PostingOutcome::Conflict), 100), "{phases:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_is_not_found_in_a_longer_one() {
    for phases in [Two, One] {
        let fake = FakePlatform::new();
        let running = opened(&fake, settings(phases));
        settle(&running.server, &mut posting(10, 100, MINOR), false).await;
        assert_eq!(running.server.find(&posting(1, 100, MINOR)).await, Ok(None), "{phases:?}");
        settle(&running.server, &mut posting(1, 100, MINOR), false).await;
        assert_eq!(fake.balance(100), 2 * MINOR, "{phases:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_withdrawal_is_negative_and_takes_no_more_than_there_is() {
    for phases in [Two, One] {
        let fake = FakePlatform::new();
        let running = opened(&fake, settings(phases));
        settle(&running.server, &mut deposit(), false).await;
        let much = settle(&running.server, &mut posting(2, 100, -MINOR - 1), false).await;
        assert_eq!(much, refused("INSUFFICIENT_BALANCE"), "{phases:?}");
        let out = settle(&running.server, &mut posting(3, 100, -MINOR), false).await;
        assert!(matches!(out, Some(PostingOutcome::Posted { flaw: None, .. })), "{phases:?}: {out:?}");
        assert_eq!(fake.balance(100), 0, "{phases:?}");
        let zero = settle(&running.server, &mut posting(4, 100, 0), false).await;
        assert_eq!(zero, refused("INVALID_AMOUNT"), "{phases:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_is_found_however_much_the_platform_can_search() {
    let search = || settings(Two).search.unwrap();
    let table: [(Option<PlatformSearch>, PlatformKeyForm, Change); 6] = [
        (Some(search()), PlatformKeyForm::Uuid, |_| {}),
        (Some(PlatformSearch { by_uuid: false, ..search() }), PlatformKeyForm::Key, |_| {}),
        (Some(search()), PlatformKeyForm::Key, |state| state.refuses_uuid = true),
        (Some(search()), PlatformKeyForm::Key, |state| state.ignores_conditions = true),
        (None, PlatformKeyForm::Key, |_| {}),
        (None, PlatformKeyForm::Uuid, |_| {}),
    ];
    for (at, (search, key_form, change)) in table.into_iter().enumerate() {
        let fake = FakePlatform::new();
        change(&mut fake.state());
        fake.script(&[(CREATE, Manner::NeverAnswers), (APPROVE, Manner::NeverAnswers)]);
        let running = opened(&fake, PlatformSettings { search, key_form, ..settings(Two) });
        // Others on the same account.
        for ordinal in 2..5 {
            settle_for_long(&running.server, &mut posting(ordinal, 100, 100)).await;
        }
        let outcome = settle_for_long(&running.server, &mut deposit()).await;
        assert!(matches!(outcome, Some(PostingOutcome::Posted { flaw: None, .. })), "{at}: {outcome:?}");
        assert_eq!((fake.balance(100), fake.received(CREATE)), (MINOR + 300, 4), "{at}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_whose_state_nobody_explains_is_unknown() {
    let fake = FakePlatform::new();
    let running = opened(&fake, PlatformSettings { executed_states: vec![12], ..settings(Two) });
    let mut due = deposit();
    assert_eq!(settle_for_long(&running.server, &mut due).await, Some(PostingOutcome::Unknown));
    assert_eq!((fake.received(CREATE), fake.received(APPROVE)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn every_page_of_orders_is_read_and_too_many_are_a_fault_that_names_the_setting() {
    let fake = FakePlatform::new();
    fake.state().others_trade(1_200);
    let running = opened(&fake, PlatformSettings { search: None, ..settings(Two) });
    let mut due = deposit();
    prepared(&running.server, &mut due).await;
    fake.state().others_trade(700);
    let outcome = settle(&running.server, &mut due, false).await;
    assert!(matches!(outcome, Some(PostingOutcome::Posted { flaw: None, .. })), "{outcome:?}");
    fake.state().others_trade(20_000);
    let fault = running.server.find(&due).await.unwrap_err();
    assert!(fault.what.contains("set `search`"), "{fault}");
    assert_eq!(fake.balance(100), MINOR);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_settings_loses_no_order_that_was_made_before() {
    let table = [
        ((Two, PlatformKeyForm::Key), (Two, PlatformKeyForm::Uuid)),
        ((Two, PlatformKeyForm::Uuid), (Two, PlatformKeyForm::Key)),
        ((Two, PlatformKeyForm::Key), (One, PlatformKeyForm::Key)),
        ((One, PlatformKeyForm::Key), (Two, PlatformKeyForm::Key)),
    ];
    for ((phases, key_form), (other_phases, other_form)) in table {
        let fake = FakePlatform::new();
        let command = if phases == Two { APPROVE } else { "BalanceInSync" };
        fake.script(&[(command, Manner::ClosesAfter)]);
        let running = opened(&fake, PlatformSettings { key_form, ..settings(phases) });
        let mut due = deposit();
        settle(&running.server, &mut due, false).await;
        due.operation.status = OperationStatus::Unknown;
        let seen = format!("{phases:?} {key_form:?}, then {other_phases:?} {other_form:?}");
        let running = opened(&fake, PlatformSettings { key_form: other_form, ..settings(other_phases) });
        let outcome = settle_for_long(&running.server, &mut due).await;
        assert!(matches!(outcome, Some(PostingOutcome::Posted { flaw: None, .. })), "{seen}: {outcome:?}");
        assert_eq!(fake.balance(100), MINOR, "{seen}");
    }
}
