//! The merchant account of a config is known when its secrets are lost or wiped: a payment id is credited once all the same.

use cashier_core::deposit::DepositRequest;
use cashier_core::edit::ConfigEdit;
use cashier_core::ids::{ConfigId, Reference};
use cashier_core::notice::Update;
use cashier_core::provider_config::{ProviderConfig, Secret};
use cashier_core::reason::ReasonCode;
use cashier_core::refs::ProviderRef;
use cashier_core::refusal::RefusalCode;
use cashier_core::status::ProviderStatus;
use cashier_core::transaction::Transaction;

use super::config_edits::{first, save};
use super::sealing::{DAY, unreadable};
use crate::ports::{ACCOUNT_MARKS_MAX, FingerprintKey};
use crate::test_cashier::{AMOUNT, TestCashier, config, deposit_request, paid, update};

async fn deposit(env: &TestCashier, config: u64) -> Transaction {
    let request =
        DepositRequest { provider_config_id: Some(ConfigId(config)), ..deposit_request(&format!("of {config}")) };
    env.deposit_as(request).await.unwrap().transaction
}

fn account(env: &TestCashier, id: u64) -> Vec<u64> {
    env.cashier.snapshot().merchant_account(ConfigId(id)).iter().map(|id| id.0).collect()
}

/// Config 3 has another secret.
async fn siblings() -> (TestCashier, [Transaction; 2]) {
    let apart = ProviderConfig { secret_key: Secret::new("CANARY of another account"), ..config(3) };
    let env = TestCashier::with_rows(vec![config(1), config(2), apart]).await;
    let made = [deposit(&env, 1).await, deposit(&env, 2).await];
    (env, made)
}

async fn pay_the_first(env: &TestCashier, first: &Transaction) {
    env.notice_signed_by(1, Some(1), vec![paid("e1", &first.reference)]).await.unwrap();
    env.run_for(5).await;
    assert_eq!((env.status(first.id), env.trading.balance()), (3, AMOUNT));
}

/// Config 1's payment under the reference of config 2's transaction, which config 2 alone verifies.
async fn reuse(env: &TestCashier, [first, second]: &[Transaction; 2]) {
    let reused = Update { payment_id: paid("", &first.reference).payment_id, ..paid("e2", &second.reference) };
    env.notice_signed_by(2, Some(2), vec![reused]).await.unwrap();
    env.run_for(200).await;
    assert_eq!((env.status(first.id), env.status(second.id), env.trading.balance()), (3, 9, AMOUNT));
    assert_eq!(env.aggregate(second.id).transaction.reason.code, ReasonCode::PaymentIdReused);
}

fn marked(env: &TestCashier, id: u64) -> Vec<Box<str>> {
    env.cashier.snapshot().account_marks(&config(id))
}

fn wipe(name: &str) -> ConfigEdit {
    ConfigEdit { enabled: Some(false), wipe: vec![name.into()], ..first() }
}

#[tokio::test(start_paused = true)]
async fn m20_a_payment_of_a_config_that_does_not_open_is_credited_once() {
    for is_marked in [true, false] {
        let (mut env, made) = siblings().await;
        pay_the_first(&env, &made[0]).await;
        let account_marks = if is_marked { marked(&env, 1) } else { Vec::new() };
        let lost = ProviderConfig { account_marks, ..unreadable(1) };
        let others = env.disk.configs().into_iter().skip(1);
        env.disk.replace_configs([lost].into_iter().chain(others).collect());
        env.crash().await;
        let expected = if is_marked { [vec![1, 2], vec![3]] } else { [vec![1, 2, 3], vec![1, 2, 3]] };
        assert_eq!([account(&env, 2), account(&env, 3)], expected, "{is_marked}");
        reuse(&env, &made).await;
    }
}

#[tokio::test(start_paused = true)]
async fn m20_a_payment_of_a_config_whose_secret_was_wiped_by_command_is_credited_once_also_after_a_start() {
    for crashes in [false, true] {
        let (mut env, made) = siblings().await;
        pay_the_first(&env, &made[0]).await;
        save(&env, wipe("secret_key")).await.unwrap();
        if crashes {
            env.crash().await;
        }
        assert_eq!([account(&env, 2), account(&env, 3)], [vec![1, 2], vec![3]], "{crashes}");
        reuse(&env, &made).await;
    }
}

#[tokio::test(start_paused = true)]
async fn m20_a_payment_of_a_config_whose_config_json_was_wiped_or_whose_secret_was_replaced_is_credited_once() {
    let edits = [wipe("config_json"), ConfigEdit { secret_key: Some(Secret::new("CANARY rolled")), ..first() }];
    for (case, edit) in edits.into_iter().enumerate() {
        let by_json = |id: u64| {
            let own = ProviderConfig { secret_key: Secret::new(&format!("CANARY {id}")), ..config(id) };
            ProviderConfig { config_json: Secret::new(r#"{"secret_key":"CANARY of both"}"#), ..own }
        };
        let rows = if case == 0 { vec![by_json(1), by_json(2)] } else { vec![config(1), config(2)] };
        let mut env = TestCashier::with_rows(rows).await;
        let made = [deposit(&env, 1).await, deposit(&env, 2).await];
        pay_the_first(&env, &made[0]).await;
        save(&env, edit).await.unwrap();
        env.crash().await;
        assert_eq!(account(&env, 2), [1, 2], "{case}");
        reuse(&env, &made).await;
    }
}

#[tokio::test(start_paused = true)]
async fn k1_a_draft_is_of_the_account_of_what_it_holds_alone() {
    let mistyped = ProviderConfig { enabled: false, ..config(1) };
    let env = TestCashier::with_rows(vec![mistyped, config(2)]).await;
    assert_eq!(account(&env, 1), [1, 2]);
    save(&env, ConfigEdit { secret_key: Some(Secret::new("CANARY as it should be")), ..first() }).await.unwrap();
    assert_eq!(account(&env, 1), [1]);
}

fn given_again(id: u64, secret: &str) -> ConfigEdit {
    ConfigEdit {
        id: Some(ConfigId(id)),
        secret_key: Some(Secret::new(secret)),
        webhook_secret: Some(Secret::new("CANARY hook")),
        ..first()
    }
}

#[tokio::test(start_paused = true)]
async fn k1_secrets_that_were_lost_are_given_again_to_one_of_many_configs_and_to_all() {
    for lost in [vec![1], vec![1, 2, 3]] {
        let apart = |id: u64| ProviderConfig { secret_key: Secret::new(&format!("CANARY of {id}")), ..config(id) };
        let mut env = TestCashier::with_rows(vec![apart(1), apart(2), apart(3)]).await;
        let rows = [1, 2, 3].map(|id| if lost.contains(&id) { unreadable(id) } else { apart(id) });
        env.disk.replace_configs(rows.into());
        env.crash().await;
        assert_eq!(account(&env, 3), [1, 2, 3], "{lost:?}");
        for id in &lost {
            let given = ConfigEdit { enabled: Some(true), ..given_again(*id, &format!("CANARY anew {id}")) };
            save(&env, given).await.unwrap();
        }
        assert_eq!([account(&env, 1), account(&env, 2), account(&env, 3)], [[1], [2], [3]], "{lost:?}");
    }
    // A draft that does not open can go.
    let (mut env, _) = siblings().await;
    let others = env.disk.configs();
    let draft = ProviderConfig { enabled: false, ..unreadable(4) };
    env.disk.replace_configs(others.into_iter().chain([draft]).collect());
    env.crash().await;
    assert!(env.cashier.snapshot().linked_by(ConfigId(4), None).is_empty());
}

/// The row as a start stores it that finds the key of its marks lost.
fn after_a_loss(row: ProviderConfig, stored: &ProviderConfig) -> ProviderConfig {
    let lost_key = FingerprintKey::new(7, String::from("lost").into());
    let row = ProviderConfig { account_marks: lost_key.account_marks(stored), ..row };
    ProviderConfig { account_marks: FingerprintKey::default().marks_at_start(&row, true), ..row }
}

#[tokio::test(start_paused = true)]
async fn m20_a_payment_is_credited_once_also_where_secrets_and_the_key_of_their_marks_were_lost_and_replaced() {
    for is_marked in [true, false] {
        let (mut env, made) = siblings().await;
        pay_the_first(&env, &made[0]).await;
        let stored = env.disk.configs();
        let opens = |row: &ProviderConfig| if row.id == ConfigId(3) { row.clone() } else { unreadable(row.id.0) };
        let lost = stored.iter().map(|row| if is_marked { after_a_loss(opens(row), row) } else { opens(row) });
        env.disk.replace_configs(lost.collect());
        env.crash().await;
        assert_eq!(account(&env, 3), if is_marked { vec![3] } else { vec![1, 2, 3] });
        for id in [1, 2] {
            save(&env, given_again(id, &format!("CANARY anew {id}"))).await.unwrap();
        }
        assert_eq!(account(&env, 3), [1, 2, 3], "what 1 had may be what 2 has now");
        env.crash().await;
        assert_eq!(account(&env, 2), [1, 2, 3], "{is_marked}");
        reuse(&env, &made).await;
    }
}

#[tokio::test(start_paused = true)]
async fn m21_a_payment_of_a_config_with_marks_of_a_lost_key_is_credited_once_also_under_a_config_that_was_made_later() {
    for (case, rolls) in [("does not open", false), ("was given a secret again", true)] {
        let mut env = TestCashier::with_rows(vec![config(1)]).await;
        let first_made = deposit(&env, 1).await;
        pay_the_first(&env, &first_made).await;
        // Config 2 is made with the secret that config 1 had.
        env.disk.replace_configs(vec![after_a_loss(unreadable(1), &config(1)), config(2)]);
        env.crash().await;
        if rolls {
            save(&env, given_again(1, "CANARY another of that account")).await.unwrap();
        }
        assert_eq!(account(&env, 2), [1, 2], "{case}");
        let second = deposit(&env, 2).await;
        reuse(&env, &[first_made, second]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn m21_a_payment_of_a_config_that_was_wiped_before_there_were_marks_is_credited_once() {
    let without_id =
        [1, 2].map(|id| ProviderConfig { merchant_id: if id == 1 { "m".into() } else { "".into() }, ..config(id) });
    let mut env = TestCashier::with_rows(without_id.to_vec()).await;
    let made = [deposit(&env, 1).await, deposit(&env, 2).await];
    pay_the_first(&env, &made[0]).await;
    let wiped = ProviderConfig { enabled: false, secret_key: Secret::default(), ..without_id[0].clone() };
    let account_marks = FingerprintKey::default().marks_at_start(&wiped, true);
    assert_eq!((account_marks.len(), &*account_marks[0]), (2, "any"), "its merchant id alone is known");
    assert_eq!(FingerprintKey::default().marks_at_start(&wiped, false).len(), 1, "it took no payments");
    let enabled = ProviderConfig { enabled: true, ..wiped.clone() };
    assert_eq!(FingerprintKey::default().marks_at_start(&enabled, true).len(), 1, "its module needs none");
    let others = env.disk.configs().into_iter().skip(1);
    env.disk.replace_configs([ProviderConfig { account_marks, ..wiped }].into_iter().chain(others).collect());
    env.crash().await;
    reuse(&env, &made).await;
}

#[tokio::test(start_paused = true)]
async fn m21_a_secret_is_replaced_as_often_as_needed_and_a_payment_is_credited_once_all_the_same() {
    // Config 2 is alone with the first secret of config 1.
    let (env, made) = siblings().await;
    pay_the_first(&env, &made[0]).await;
    let of_first = |number: usize| ConfigEdit { secret_key: Some(Secret::new(&format!("CANARY {number}"))), ..first() };
    for number in 0..=ACCOUNT_MARKS_MAX {
        save(&env, of_first(number)).await.unwrap();
        assert!(account(&env, 2).starts_with(&[1, 2]), "{number}");
    }
    reuse(&env, &made).await;
    // A draft that others share an account through.
    let (env, _) = linked_by_a_draft().await;
    for number in 0..=2 * ACCOUNT_MARKS_MAX {
        let edit = ConfigEdit { id: Some(ConfigId(3)), ..of_first(number) };
        save(&env, edit).await.unwrap();
        assert_eq!(account(&env, 2), [1, 2, 3], "{number}");
    }
    assert_eq!(env.cashier.snapshot().linked_by(ConfigId(3), None), [ConfigId(1), ConfigId(2)], "it cannot go");
}

/// Configs 1 and 2 have nothing in common but what the draft 3 shares with each.
async fn linked_by_a_draft() -> (TestCashier, [Transaction; 2]) {
    let own = |id: u64, merchant: &str, secret: &str| ProviderConfig {
        merchant_id: merchant.into(),
        secret_key: Secret::new(secret),
        ..config(id)
    };
    let draft = ProviderConfig { enabled: false, ..own(3, "acct_3", "CANARY b") };
    let env = TestCashier::with_rows(vec![own(1, "acct_3", "CANARY a"), own(2, "", "CANARY b"), draft]).await;
    let made = [deposit(&env, 1).await, deposit(&env, 2).await];
    (env, made)
}

#[tokio::test(start_paused = true)]
async fn m20_configs_that_share_an_account_through_a_draft_do_so_whatever_becomes_of_it() {
    let of_draft = |edit: ConfigEdit| ConfigEdit { id: Some(ConfigId(3)), ..edit };
    let edits = [
        ConfigEdit { merchant_id: Some("acct_other".into()), ..first() },
        ConfigEdit { secret_key: Some(Secret::new("CANARY c")), ..first() },
        ConfigEdit { wipe: vec!["secret_key".into()], ..first() },
        ConfigEdit { delete: true, ..first() },
    ];
    for (case, edit) in edits.into_iter().enumerate() {
        let (mut env, made) = linked_by_a_draft().await;
        pay_the_first(&env, &made[0]).await;
        save(&env, of_draft(edit)).await.unwrap();
        assert_eq!(account(&env, 2), [1, 2, 3], "{case}");
        env.crash().await;
        assert_eq!(account(&env, 2), [1, 2, 3], "{case}, after a start");
        reuse(&env, &made).await;
    }
    // What cannot be kept is refused.
    let (env, _) = linked_by_a_draft().await;
    for edit in
        [ConfigEdit { sandbox: Some(true), ..first() }, ConfigEdit { provider: Some("other".into()), ..first() }]
    {
        let refusal = save(&env, of_draft(edit)).await.err().unwrap();
        let expected = "provider and sandbox cannot change: configs 1, 2 share a merchant account through this config";
        assert!(refusal.message.starts_with(expected), "{}", refusal.message);
    }
    assert_eq!(account(&env, 2), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn m20_blanks_around_a_merchant_id_are_no_other_account() {
    let own = |id: u64, merchant: &str, json: &str| ProviderConfig {
        merchant_id: merchant.into(),
        secret_key: Secret::new(&format!("CANARY {id}")),
        config_json: Secret::new(json),
        ..config(id)
    };
    let env = TestCashier::with_rows(vec![own(1, "acct_3", ""), own(2, "", r#"{"merchant_id":" acct_3\n"}"#)]).await;
    assert_eq!(account(&env, 1), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn m20_a_payment_of_a_deleted_config_that_lost_its_secrets_is_credited_once() {
    let (mut env, [first_made, _]) = siblings().await;
    pay_the_first(&env, &first_made).await;
    save(&env, ConfigEdit { delete: true, ..first() }).await.unwrap();
    env.clock.jump(541 * DAY);
    env.clock.accept();
    env.run_for(60).await;
    let row = env.cashier.snapshot().config(ConfigId(1)).unwrap().config.clone();
    assert!(!row.holds_secrets() && !row.account_marks.is_empty(), "{row:?}");
    env.crash().await;
    let request = DepositRequest { provider_config_id: Some(ConfigId(2)), ..deposit_request("late") };
    let second = env.deposit_as(request).await.unwrap().transaction;
    reuse(&env, &[first_made, second]).await;
}

#[tokio::test(start_paused = true)]
async fn k1_an_early_notice_is_retried_while_a_config_of_the_account_does_not_open() {
    for is_marked in [true, false] {
        let (mut env, _) = siblings().await;
        let account_marks = if is_marked { marked(&env, 1) } else { Vec::new() };
        let lost = ProviderConfig { account_marks, ..unreadable(1) };
        let others = env.disk.configs().into_iter().skip(1);
        env.disk.replace_configs([lost].into_iter().chain(others).collect());
        env.crash().await;
        let early = Update {
            reference: None,
            refs: vec![ProviderRef::new("payment_intent", "pi_early")],
            payment_id: "pi_early".into(),
            ..paid("e9", &Reference::from_random(1))
        };
        let refusal = env.notice(Some(2), vec![early.clone()]).await.unwrap_err();
        assert_eq!(refusal.code, RefusalCode::ProviderUnavailable, "{is_marked}");
        // Of another account, where that is known.
        assert_eq!(env.notice_signed_by(3, Some(3), vec![early]).await.is_ok(), is_marked);
    }
}

#[tokio::test(start_paused = true)]
async fn k1_a_dispute_of_a_payment_of_a_config_that_does_not_open_is_retried() {
    let (mut env, [first_made, second]) = siblings().await;
    pay_the_first(&env, &first_made).await;
    let lost = ProviderConfig { account_marks: marked(&env, 1), ..unreadable(1) };
    let others = env.disk.configs().into_iter().skip(1);
    env.disk.replace_configs([lost].into_iter().chain(others).collect());
    env.crash().await;
    let payment_id = paid("", &first_made.reference).payment_id;
    for reference in [None, Some(second.reference)] {
        let disputed = Update { payment_id: payment_id.clone(), reference, ..update("d1", ProviderStatus::Chargeback) };
        let refusal = env.notice_signed_by(2, Some(2), vec![disputed]).await.unwrap_err();
        assert_eq!(refusal.code, RefusalCode::ProviderUnavailable);
    }
    assert_eq!((env.status(first_made.id), env.trading.balance()), (3, AMOUNT));
}
