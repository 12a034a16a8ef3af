//! Recording: notices in any order, early ones, foreign ones, and those that only some gateway can judge.

use std::sync::atomic::Ordering;

use cashier_core::ids::{ConfigId, Reference, TransactionId};
use cashier_core::notice::{StatedAmount, Update};
use cashier_core::refs::ProviderRef;
use cashier_core::refusal::RefusalCode;
use cashier_core::status::{ProcessingStatus, ProviderStatus};

use super::trading::Post;
use super::world::{AMOUNT, World, lock, paid, update, usd};
use crate::ports::QueryAnswer;

async fn pending(world: &World) -> (TransactionId, Reference) {
    let transaction = world.deposit("k").await.unwrap().transaction;
    (transaction.id, transaction.reference)
}

fn by_intent(update: Update, id: &str) -> Update {
    Update { refs: vec![ProviderRef::new("intent", id)], ..update }
}

fn unreferenced(update: Update) -> Update {
    Update { reference: None, ..update }
}

#[tokio::test(start_paused = true)]
async fn a_notice_twice_at_once_credits_once() {
    let world = World::new().await;
    let (id, reference) = pending(&world).await;
    let notice = vec![paid("e1", &reference)];
    let (one, two) = tokio::join!(world.notice(Some(1), notice.clone()), world.notice(Some(1), notice));
    assert_ne!(one.unwrap().duplicate, two.unwrap().duplicate);
    world.pass(60).await;
    assert_eq!((world.status(id), world.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn an_early_event_of_the_same_notice_is_applied() {
    let world = World::new().await;
    let (id, reference) = pending(&world).await;
    let early = by_intent(unreferenced(paid("e1", &reference)), "pi_1");
    let named = by_intent(Update { reference: Some(reference), ..update("e2", ProviderStatus::Pending) }, "pi_1");
    let outcome = world.notice(Some(1), vec![early, named]).await.unwrap();
    world.pass(1).await;
    assert_eq!((world.status(id), world.trading.balance()), (3, AMOUNT));
    let row = world.disk.event_row(outcome.events[0].id).unwrap();
    assert_eq!((row.processing_status, row.transaction_id), (ProcessingStatus::Processed, id));
}

#[tokio::test(start_paused = true)]
async fn an_early_event_is_applied_when_a_query_teaches_its_id() {
    let world = World::new().await;
    let (id, reference) = pending(&world).await;
    let early = by_intent(unreferenced(paid("e1", &reference)), "pi_1");
    world.notice(Some(1), vec![early]).await.unwrap();
    assert_eq!(world.status(id), 1);
    let learned = by_intent(update("", ProviderStatus::Pending), "pi_1");
    world.answers(&reference, QueryAnswer::Stated(Box::new(learned)));
    world.pass(120).await;
    assert_eq!((world.status(id), world.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn an_early_event_under_another_reference_is_not_taken_by_its_ids() {
    let world = World::new().await;
    let (id, reference) = pending(&world).await;
    let foreign = Reference::from_random(7);
    world.notice(Some(1), vec![by_intent(paid("e1", &foreign), "pi_1")]).await.unwrap();
    let named = by_intent(Update { reference: Some(reference), ..update("e2", ProviderStatus::Pending) }, "pi_1");
    world.notice(Some(1), vec![named]).await.unwrap();
    world.pass(60).await;
    assert_eq!((world.status(id), world.trading.balance()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_query_that_answers_about_another_payment_credits_nothing() {
    let world = World::new().await;
    let (id, reference) = pending(&world).await;
    let other = world.deposit("other").await.unwrap().transaction;
    world.answers(&reference, QueryAnswer::Stated(Box::new(paid("", &other.reference))));
    world.answers(&other.reference, QueryAnswer::Stated(Box::new(update("", ProviderStatus::Pending))));
    world.pass(200).await;
    assert_eq!((world.status(id), world.status(other.id), world.trading.balance()), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_notice_whose_owner_is_not_working_is_not_swallowed_by_a_neighbour() {
    let world = World::with_configs(&[1, 2]).await;
    lock(&world.provider.broken).push(ConfigId(1));
    let (id, reference) = pending(&world).await;
    assert_eq!(world.known(id).transaction.config_id, ConfigId(1));
    let notice = vec![paid("e1", &reference)];
    let refusal = world.notice(None, notice.clone()).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::ProviderUnavailable, "the provider must send it again");
    lock(&world.provider.broken).clear();
    world.notice(None, notice).await.unwrap();
    world.pass(5).await;
    assert_eq!((world.status(id), world.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn among_configs_of_one_merchant_an_id_leads_to_its_owner_too() {
    let world = World::with_configs(&[1, 2]).await;
    let mut request = super::world::request("k");
    request.provider_config_id = Some(ConfigId(2));
    let session = cashier_core::session::CustomerSession::assertion(super::world::CUSTOMER, None);
    let context = crate::flows::RequestContext { request_id: "t".into(), ip: "".into(), locale: "".into() };
    let made = crate::flows::deposit::deposit(&world.cashier, &session, request, context).await.unwrap().transaction;
    let session_id = ProviderRef::new("session", &format!("cs_{}", made.reference));
    let told = Update { reference: None, refs: vec![session_id], ..paid("e1", &made.reference) };
    world.notice(None, vec![told]).await.unwrap();
    world.pass(5).await;
    assert_eq!((world.status(made.id), world.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_foreign_config_moves_nothing_and_the_own_gateway_is_asked() {
    let world = World::with_configs(&[1, 2]).await;
    let (id, reference) = pending(&world).await;
    world.answers(&reference, QueryAnswer::Stated(Box::new(update("", ProviderStatus::Pending))));
    let outcome = world.notice(Some(2), vec![paid("e1", &reference)]).await.unwrap();
    assert!(outcome.events[0].failure_reason.starts_with("PROVIDER_CONFIG_MISMATCH"));
    world.pass(5).await;
    assert_eq!((world.status(id), world.trading.balance()), (1, 0));
    assert_eq!(world.provider.queries.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_capture_that_a_notice_asks_for_is_made_at_once() {
    let world = World::new().await;
    let (id, reference) = pending(&world).await;
    *lock(&world.provider.advance) = Some(QueryAnswer::Stated(Box::new(paid("", &reference))));
    let approved = Update { advance: true, reference: Some(reference), ..update("e1", ProviderStatus::Pending) };
    world.notice(Some(1), vec![approved]).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(world.provider.advances.load(Ordering::SeqCst), 1);
    assert_eq!((world.status(id), world.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_payment_after_endless_declines_is_credited() {
    let world = World::new().await;
    let (id, reference) = pending(&world).await;
    for attempt in 0..200 {
        let reason = format!("declined, try {attempt}").into();
        let no = Update { reference: Some(reference.clone()), reason, ..update("", ProviderStatus::Failed) };
        world.notice(Some(1), vec![Update { event_id: format!("d{attempt}").into(), ..no }]).await.unwrap();
    }
    world.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
    world.pass(5).await;
    assert_eq!((world.status(id), world.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_that_names_no_payment_is_not_a_second_one() {
    let world = World::new().await;
    let (id, reference) = pending(&world).await;
    let unnamed = Update { payment_id: Box::default(), ..paid("e1", &reference) };
    world.notice(Some(1), vec![unnamed]).await.unwrap();
    world.notice(Some(1), vec![paid("e2", &reference)]).await.unwrap();
    world.pass(5).await;
    assert_eq!((world.status(id), world.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_second_payment_under_one_reference_is_doubt_and_credits_nothing_more() {
    let world = World::new().await;
    let (id, reference) = pending(&world).await;
    world.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
    world.notice(Some(1), vec![Update { payment_id: "pay_2".into(), ..paid("e2", &reference) }]).await.unwrap();
    world.pass(60).await;
    assert_eq!((world.status(id), world.trading.balance()), (9, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_without_amount_is_asked_about_and_credited() {
    let world = World::new().await;
    let (id, reference) = pending(&world).await;
    world.answers(&reference, QueryAnswer::Stated(Box::new(paid("", &reference))));
    let unstated = Update { amount: None, payment_id: Box::default(), ..paid("e1", &reference) };
    world.notice(Some(1), vec![unstated]).await.unwrap();
    world.pass(5).await;
    assert_eq!((world.status(id), world.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn an_amount_that_differs_is_never_credited() {
    let world = World::new().await;
    let (id, reference) = pending(&world).await;
    let short = Update { amount: Some(StatedAmount::Exact(usd(AMOUNT - 1))), ..paid("e1", &reference) };
    world.notice(Some(1), vec![short]).await.unwrap();
    world.pass(60).await;
    assert_eq!((world.status(id), world.trading.balance()), (9, 0));
}

#[tokio::test(start_paused = true)]
async fn a_slow_trading_server_holds_no_webhook_and_credits_once() {
    let world = World::new().await;
    let (id, reference) = pending(&world).await;
    lock(&world.trading.script).push_back(Post::Slow(30));
    let began = tokio::time::Instant::now();
    let outcome = world.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
    assert_eq!(outcome.transaction.unwrap().status.number(), 2);
    assert!(began.elapsed().as_millis() < 2_100);
    assert!(world.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap().duplicate);
    world.pass(60).await;
    assert_eq!((world.status(id), world.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn an_answer_lost_by_the_trading_server_is_asked_for_under_the_same_key() {
    for lost in [Post::Silent, Post::Lost] {
        let world = World::new().await;
        let (id, reference) = pending(&world).await;
        lock(&world.trading.script).extend([lost, Post::Lost]);
        world.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
        world.pass(120).await;
        assert_eq!((world.status(id), world.trading.balance()), (3, AMOUNT), "{lost:?}");
        assert_eq!(world.known(id).operations.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_without_keys_is_never_sent_a_posting_twice() {
    let mut world = World::new().await;
    world.trading.unkeyed.store(true, Ordering::SeqCst);
    let (id, reference) = pending(&world).await;
    lock(&world.trading.script).push_back(Post::Silent);
    let heard = tokio::spawn(world.notice(Some(1), vec![paid("e1", &reference)]));
    world.pass(1).await;
    assert_eq!(world.trading.balance(), AMOUNT, "posted, and the answer is under way");
    world.crash().await;
    heard.abort();
    world.pass(120).await;
    assert_eq!((world.status(id), world.trading.balance()), (3, AMOUNT), "asked, and never sent again");
}

#[tokio::test(start_paused = true)]
async fn a_forged_flood_leaves_room_for_real_money() {
    let world = World::new().await;
    let (id, reference) = pending(&world).await;
    world.disk.held.store(true, Ordering::SeqCst);
    let before = world.cashier.ledger.peek(|books| books.counters().event).unwrap();
    for _ in 0..5_000 {
        let refusal = world.raw_notice(None, "forged".into()).await.unwrap_err();
        assert_eq!(refusal.code, RefusalCode::InvalidSignature);
    }
    let waiting = world.cashier.ledger.peek(|books| books.counters().event).unwrap() - before;
    assert!(waiting <= 256, "{waiting} forged notices wait for the disk");
    world.disk.held.store(false, Ordering::SeqCst);
    world.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
    world.pass(5).await;
    assert_eq!((world.status(id), world.trading.balance()), (3, AMOUNT));
}
