//! A trading server that is down, slow, refusing or forgetful delays a credit and never loses or doubles it: the sender
//! is answered in time, the event is kept, and the credit comes without any new webhook.
#![expect(clippy::indexing_slicing, reason = "a test may fail loudly")]

use std::time::{Duration, Instant};

use cashier_host::flows::Rules;
use cashier_tests::clock::Pace;
use cashier_tests::customer::order;
use cashier_tests::pending::Pending;
use cashier_tests::roster::{LOGIN, account, home};
use cashier_tests::signing;
use cashier_tests::stripe_stub::{self, Mood as StripeMood};
use cashier_tests::trading::Mood;
use cashier_tests::waiting::{PATIENCE, eventually};
use cashier_tests::world::{Plan, World};
use futures_util::future::join_all;
use serde_json::json;

const SECRET: &str = stripe_stub::WEBHOOK_SECRET;

/// What a provider waits for an answer, as it is promised; the clock on the wall judges it here and nowhere else.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);

/// A clock that makes the house's rounds quick, and a trading server with moods.
fn troubled(pace: Pace) -> Plan {
    Plan { troubled_trading: true, pace, ..Plan::default() }
}

async fn is_credited(pending: &Pending) {
    eventually("the credit", async || (pending.seen().await["transaction"]["status"] == json!(3)).then_some(())).await;
    pending.credited_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_while_the_trading_server_is_down_is_kept_answered_and_credited_later_without_another() {
    if !signing::can_sign() {
        return;
    }
    let pending = Pending::of(troubled(Pace::Times(30))).await;
    pending.world.troubled().mood(Mood::Down);
    let heard = pending.tell_until_taken("stripe", SECRET, &pending.said()).await.fine();
    assert_eq!((&heard["data"], &heard["event"]["processing_status"]), (&json!("OK"), &json!(1)), "{heard}");
    assert_eq!(heard["transaction"]["status"], json!(2), "confirmed, and not yet credited: {heard}");
    assert_eq!(pending.world.balance(LOGIN).await, "0.0 USD");
    let again = pending.tell_until_taken("stripe", SECRET, &pending.said()).await.fine();
    assert_eq!(again["duplicate"], json!(true), "the event is kept: {again}");

    pending.world.troubled().mood(Mood::Well);
    is_credited(&pending).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_try_of_a_webhook_is_taken_within_two_seconds_while_the_trading_server_is_down() {
    if !signing::can_sign() {
        return;
    }
    let pending = Pending::of(troubled(Pace::Times(1))).await;
    pending.world.troubled().mood(Mood::Down);
    let began = Instant::now();
    let heard = pending.tell("stripe", SECRET, &pending.said()).await;
    let took = began.elapsed();
    let heard = heard.fine();
    assert!(took < ANSWER_TIME_MAX, "the only try was answered after {took:?}");
    assert_eq!((&heard["data"], &heard["duplicate"]), (&json!("OK"), &json!(false)), "{heard}");
    assert_eq!(heard["transaction"]["status"], json!(2), "confirmed, and not yet credited: {heard}");

    // The event is kept beyond the process: the house is opened again on what is on disk, and credits without a notice.
    let Pending { mut world, id, .. } = pending;
    world.restart().await;
    let seen = world.manager().transaction(id).await;
    assert_eq!(seen["transaction"]["status"], json!(2), "{seen}");
    assert_eq!((&seen["balance_operations"][0]["status"], world.balance(LOGIN).await), (&json!(0), "0.0 USD".into()));
    world.troubled().mood(Mood::Well);
    eventually("the credit", async || {
        (world.manager().transaction(id).await["transaction"]["status"] == json!(3)).then_some(())
    })
    .await;
    assert_eq!(world.balance(LOGIN).await, "250.0 USD");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_answered_after_two_seconds_at_most_while_the_credit_goes_on() {
    if !signing::can_sign() {
        return;
    }
    let pending = Pending::of(troubled(Pace::Still)).await;
    pending.world.troubled().mood(Mood::Slow(Duration::from_secs(3600)));
    let said = pending.said();
    let mut telling = Box::pin(pending.tell("stripe", SECRET, &said));
    tokio::select! {
        early = &mut telling => panic!("answered before the patience was over: {}", early.text()),
        () = eventually("the posting", async || (!pending.world.troubled().asked().is_empty()).then_some(())) => {}
    }
    pending.world.clock.advance(Rules::WEBHOOK_PATIENCE - Duration::from_millis(1));
    tokio::select! {
        early = &mut telling => panic!("answered before the patience was over: {}", early.text()),
        () = tokio::time::sleep(Duration::from_millis(50)) => {}
    }
    pending.world.clock.advance(Duration::from_millis(1));
    let heard = telling.await.fine();
    assert_eq!(heard["transaction"]["status"], json!(2), "{heard}");
    pending.world.troubled().mood(Mood::Well);
    is_credited(&pending).await;
    assert_eq!(pending.world.troubled().asked().len(), 1, "the posting under way was the one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_posting_whose_answer_was_lost_is_asked_about_and_counts_once() {
    if !signing::can_sign() {
        return;
    }
    let pending = Pending::of(troubled(Pace::Times(30))).await;
    pending.world.troubled().mood(Mood::Forgetful);
    let heard = pending.tell_until_taken("stripe", SECRET, &pending.said()).await.fine();
    assert_eq!(heard["transaction"]["status"], json!(2), "nobody knows yet: {heard}");
    is_credited(&pending).await;
    assert_eq!(pending.world.troubled().asked().len(), 1, "what it has is not sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owed_credit_outlives_a_restart() {
    if !signing::can_sign() {
        return;
    }
    for mood in [Mood::Down, Mood::Forgetful] {
        let mut pending = Pending::of(troubled(Pace::Times(30))).await;
        pending.world.troubled().mood(mood);
        pending.tell_until_taken("stripe", SECRET, &pending.said()).await.fine();
        pending.world.stop().await;
        pending.world.troubled().mood(Mood::Well);
        pending.world.reopen().await;
        is_credited(&pending).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_credit_is_shown_and_waits_for_a_person() {
    if !signing::can_sign() {
        return;
    }
    let pending = Pending::of(troubled(Pace::Times(30))).await;
    pending.world.troubled().mood(Mood::Refusing("CLOSED_FOR_THE_DAY"));
    let heard = pending.tell_until_taken("stripe", SECRET, &pending.said()).await.fine();
    assert_eq!(heard["transaction"]["status"], json!(4), "{heard}");
    pending.world.troubled().mood(Mood::Well);
    pending.world.clock.advance_seconds(3600);
    pending.tell_until_taken("stripe", SECRET, &pending.said()).await.fine();
    let seen = pending.seen().await;
    assert_eq!(seen["transaction"]["status"], json!(4), "a refused operation is final: {seen}");
    assert_eq!(seen["balance_operations"][0]["failure_reason"], json!("CLOSED_FOR_THE_DAY"), "{seen}");
    assert_eq!(pending.world.troubled().asked().len(), 1);
    assert_eq!(pending.world.balance(LOGIN).await, "0.0 USD");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_somebody_elses_by_now_is_not_credited() {
    if !signing::can_sign() {
        return;
    }
    let pending = Pending::of(troubled(Pace::Times(1))).await;
    let mut roster = home();
    roster["accounts"][0] = account(LOGIN, 6, "demo-usd");
    pending.world.change_roster(&roster).await;
    let heard = pending.tell("stripe", SECRET, &pending.said()).await.fine();
    assert_eq!(heard["transaction"]["status"], json!(4), "{heard}");
    assert_eq!(pending.seen().await["balance_operations"][0]["failure_reason"], json!("OWNER_MISMATCH"));
    assert_eq!(pending.world.balance(LOGIN).await, "0.0 USD");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_deposit_begins_while_nobody_can_say_whose_the_account_is() {
    let world = World::of(troubled(Pace::Times(1))).await;
    world.manager().save_config(&world.sandbox_config()).await;
    world.troubled().mood(Mood::Down);
    let refused = world.customer().deposit(&order("sandbox", "50")).await;
    assert_eq!(refused.refusal(), (503, "STORAGE_UNAVAILABLE".into()));
    assert!(!refused.header("retry-after").is_empty());
    world.troubled().mood(Mood::Well);
    world.customer().deposit(&order("sandbox", "50")).await.fine();
    let all = world.customer().transactions("").await.fine();
    assert_eq!(all["count"], json!(1), "{all}");
    assert_eq!(all["rows"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_slow_to_tell_about_many_pending_payments_still_gets_new_deposits() {
    let world = World::of(Plan { pace: Pace::Still, ..Plan::default() }).await;
    world.manager().save_config(&world.stripe_config()).await;
    let customer = world.customer();
    for _ in 0..6 {
        let answers = join_all((0..50).map(|_| async { customer.deposit(&order("stripe", "20")).await })).await;
        answers.iter().for_each(|answer| drop(answer.fine()));
    }
    // Nobody has paid for a minute, so the house asks about them; the answers do not come.
    world.stripe.mood(StripeMood::HoldingLookups);
    world.clock.advance_seconds(61);
    eventually("the questions", async || (!world.stripe.looked_up().is_empty()).then_some(())).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let answer = tokio::time::timeout(PATIENCE, customer.deposit(&order("stripe", "20"))).await;
    answer.expect("a deposit does not wait for questions about others").fine();
    world.stripe.mood(StripeMood::Answering);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_was_never_answered_ends_in_doubt_where_the_provider_cannot_be_asked_about_it() {
    let world = World::of(Plan { pace: Pace::Times(30), ..Plan::default() }).await;
    world.manager().save_config(&world.stripe_config()).await;
    world.stripe.mood(StripeMood::Holding);
    let begun = world.customer().deposit(&order("stripe", "50")).await.fine();
    let id = begun["transaction"]["id"].as_u64().unwrap();
    // Stripe is asked by its own ids, and told none. Past its keys' and the payment's time nothing else is to be tried.
    world.clock.advance_seconds(2 * 24 * 60 * 60);
    let seen = eventually("the doubt", async || {
        let seen = world.manager().transaction(id).await;
        (seen["transaction"]["status"] != json!(1)).then_some(seen)
    })
    .await;
    let reason = seen["transaction"]["failure_reason"].as_str().unwrap_or_default();
    assert_eq!(seen["transaction"]["status"], json!(9), "{seen}");
    assert!(reason.starts_with("OUTCOME_UNKNOWN"), "{seen}");
    world.stripe.mood(StripeMood::Answering);
}
