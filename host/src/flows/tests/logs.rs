//! What an operator greps for: refused credits, manual review and payments found by a query each leave one line with a
//! level, a reason code and the transaction.

use std::io;
use std::sync::{Arc, Mutex};

use cashier_core::edit::ConfigEdit;
use cashier_core::notice::{StatedAmount, Update};
use cashier_core::refs::ProviderRef;
use cashier_core::status::ProviderStatus;
use tracing::subscriber::DefaultGuard;

use super::config_edits::{first, save};
use crate::ports::{OrderCheck, QueryAnswer};
use crate::test_cashier::{OnPost, TestCashier, ask_each_thread, lock, paid, usd};

#[derive(Clone, Default)]
pub(super) struct LogBuffer(Arc<Mutex<Vec<u8>>>);

impl io::Write for LogBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl LogBuffer {
    /// Captures what this thread logs for as long as the guard lives.
    pub(super) fn capture() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let lines = tracing_subscriber::fmt().with_ansi(false).without_time().with_target(false);
        let subscriber = lines.with_max_level(tracing::Level::INFO).with_writer(move || writer.clone()).finish();
        ask_each_thread();
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// The lines that contain the text.
    pub(super) fn lines(&self, text: &str) -> Vec<String> {
        let all = String::from_utf8_lossy(&lock(&self.0)).into_owned();
        all.lines().filter(|line| line.contains(text)).map(|line| line.trim().to_owned()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_credit_is_a_warning_with_its_reason_code() {
    let (log, _guard) = LogBuffer::capture();
    let env = TestCashier::new().await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    lock(&env.trading.next_posts).push_back(OnPost::Refuse);
    env.notice(Some(1), vec![paid("e1", &transaction.reference)]).await.unwrap();
    env.run_for(5).await;
    assert_eq!(env.status(transaction.id), 4);
    let lines = log.lines("credit was refused");
    assert_eq!(lines.len(), 1, "once, not at every round: {lines:?}");
    assert!(lines[0].starts_with("WARN") && lines[0].contains("reason=\"CREDIT_REFUSED\""), "{lines:?}");
    assert_eq!(log.lines("posting was refused").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn m7_an_order_that_its_module_refuses_or_cannot_check_is_a_warning_with_a_reason_code() {
    let (log, _guard) = LogBuffer::capture();
    let env = TestCashier::new().await;
    let refused = OrderCheck::Refused {
        field: "amount".into(),
        code: "amount_too_small".into(),
        message: "must be at least 0.50 USD".into(),
    };
    for answer in [refused, OrderCheck::NoAnswer("the module panicked".into())] {
        *lock(&env.provider.check_answer) = Some(answer);
        env.deposit("k").await.unwrap_err();
    }
    let [refused, unchecked] = &log.lines("by its module")[..] else { panic!("one line each") };
    let holds = |line: &str, parts: &[&str]| parts.iter().all(|part| line.contains(part));
    assert!(holds(refused, &["WARN", "reason=\"amount_too_small\"", "field=\"amount\"", "config=1"]), "{refused}");
    assert!(holds(unchecked, &["WARN", "reason=\"PROVIDER_UNAVAILABLE\"", "the module panicked"]), "{unchecked}");
}

#[tokio::test(start_paused = true)]
async fn a_payment_whose_transaction_never_appears_is_one_warning() {
    let (log, _guard) = LogBuffer::capture();
    let env = TestCashier::new().await;
    env.notice(Some(1), vec![paid("e1", &cashier_core::ids::Reference::from_random(3))]).await.unwrap();
    env.run_for(100_000).await;
    let lines = log.lines("confirmed payment has no transaction");
    let [line] = &lines[..] else { panic!("once: {lines:?}") };
    assert!(
        ["WARN", "event=1", "config=1", "payment=\"pay_", "TRANSACTION_NOT_FOUND"]
            .iter()
            .all(|part| line.contains(part)),
        "{line}"
    );
}

#[tokio::test(start_paused = true)]
async fn m20_a_reversal_that_is_not_applied_is_one_warning() {
    let (log, _guard) = LogBuffer::capture();
    let env = TestCashier::new().await;
    let (first, second) = (env.deposit("k").await.unwrap().transaction, env.deposit("l").await.unwrap().transaction);
    let named = |update: Update| Update { refs: vec![ProviderRef::new("payment_intent", "pi_9")], ..update };
    env.notice(Some(1), vec![named(paid("e1", &first.reference))]).await.unwrap();
    let reversal = named(Update { status: ProviderStatus::Refunded, ..paid("e2", &second.reference) });
    for _ in 0..2 {
        env.notice(Some(1), vec![reversal.clone()]).await.unwrap();
    }
    let lines = log.lines("statement about money was not applied");
    let [line] = &lines[..] else { panic!("once: {lines:?}") };
    assert!(["WARN", "event=2", "PROVIDER_REF_MISMATCH"].iter().all(|part| line.contains(part)), "{line}");
}

#[tokio::test(start_paused = true)]
async fn manual_review_is_a_warning_with_its_reason_code() {
    let (log, _guard) = LogBuffer::capture();
    let env = TestCashier::new().await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    let short = Update { amount: Some(StatedAmount::Exact(usd(1))), ..paid("e1", &transaction.reference) };
    env.notice(Some(1), vec![short.clone()]).await.unwrap();
    env.notice(Some(1), vec![Update { event_id: "e2".into(), ..short }]).await.unwrap();
    assert_eq!(env.status(transaction.id), 9);
    let lines = log.lines("transaction moved to manual review");
    assert_eq!(lines.len(), 1, "a repetition changes nothing: {lines:?}");
    assert!(lines[0].starts_with("WARN") && lines[0].contains("reason=\"AMOUNT_MISMATCH\""), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn a_payment_found_by_a_query_is_named_in_the_log() {
    let (log, _guard) = LogBuffer::capture();
    let env = TestCashier::new().await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    env.on_query(&transaction.reference, QueryAnswer::Stated(Box::new(paid("", &transaction.reference))));
    env.run_for(600).await;
    assert_eq!(env.status(transaction.id), 3);
    assert_eq!(log.lines("provider query found a payment").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn m10_an_unreadable_notice_is_a_warning_with_its_reason_code_and_no_word_of_a_signature() {
    let (log, _guard) = LogBuffer::capture();
    let env = TestCashier::new().await;
    for _ in 0..2 {
        env.raw_notice(Some(1), "unreadable 1".to_owned()).await.unwrap();
    }
    let lines = log.lines("webhook was authentic and unreadable");
    assert_eq!(lines.len(), 1, "once, not for its repetition: {lines:?}");
    assert!(lines[0].starts_with("WARN") && lines[0].contains("reason=\"UNREADABLE_NOTICE: no amount\""), "{lines:?}");
    assert!(lines[0].contains("config=1 event=1"), "{lines:?}");
    assert!(log.lines("signature").is_empty() && log.lines("quarantined").is_empty());
    lock(&env.provider.not_working).push(cashier_core::ids::ConfigId(1));
    env.raw_notice(Some(1), "unreadable 2".to_owned()).await.unwrap_err();
    assert_eq!((log.lines("webhook could not be verified").len(), log.lines("was rejected").len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn s5_a_notice_beyond_what_may_wait_is_to_be_sent_again_and_is_a_warning() {
    let (log, _guard) = LogBuffer::capture();
    let env = TestCashier::new().await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    let early = |id: String| {
        let refs = vec![ProviderRef::new("intent", &format!("of_{id}"))];
        Update { reference: None, refs, payment_id: "".into(), ..paid(&id, &transaction.reference) }
    };
    for notice in 0..64 {
        let updates = (0..256).map(|place| early(format!("{notice}_{place}"))).collect();
        env.notice(Some(1), updates).await.unwrap();
    }
    let refusal = env.notice(Some(1), vec![early("beyond".to_owned())]).await.unwrap_err();
    assert_eq!(refusal.code, cashier_core::refusal::RefusalCode::ProviderUnavailable, "the provider sends it again");
    let lines = log.lines("as many wait for theirs as may");
    assert!(lines.len() == 1 && lines[0].starts_with("WARN") && lines[0].contains("config=1"), "{lines:?}");
    env.notice(Some(1), vec![paid("own", &transaction.reference)]).await.unwrap();
    env.run_for(5).await;
    assert_eq!(env.status(transaction.id), 3, "a payment whose transaction is known is not refused");
}

#[tokio::test(start_paused = true)]
async fn k7_a_flood_of_forged_webhooks_has_ten_lines_a_minute_and_a_count_of_the_rest() {
    let (log, _guard) = LogBuffer::capture();
    let env = TestCashier::new().await;
    for _ in 0..500 {
        env.raw_notice(None, "forged".into()).await.unwrap_err();
    }
    assert_eq!(log.lines("webhook was rejected").len(), 10);
    env.clock.jump(60);
    env.raw_notice(None, "forged".into()).await.unwrap_err();
    assert_eq!(log.lines("webhook was rejected").len(), 11);
    let counted = log.lines("rejected webhooks were not logged one by one");
    assert!(counted.len() == 1 && counted[0].contains("suppressed=490"), "{counted:?}");
}

#[tokio::test(start_paused = true)]
async fn n1_secrets_that_nobody_wiped_by_command_are_one_security_event_with_their_names() {
    let (log, _guard) = LogBuffer::capture();
    let env = TestCashier::new().await;
    save(&env, ConfigEdit { delete: true, ..first() }).await.unwrap();
    env.run_for(600).await;
    let [wiped] = &log.lines("secrets_wiped")[..] else { panic!("one event") };
    assert!(
        wiped.starts_with("WARN") && wiped.contains("config=1") && wiped.contains("secret_key webhook_secret"),
        "{wiped}"
    );
    assert!(!wiped.contains("CANARY"), "{wiped}");
}
