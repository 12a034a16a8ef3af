//! The account changes between a deposit and its webhook: what stops the credit, who is asked, and that mending it credits once.
//! And every command that an explanation names is one that the payment's state accepts.

use std::sync::atomic::Ordering;

use cashier_core::facts::PersonFact;
use cashier_core::ids::{Reference, TransactionId};
use cashier_core::notice::{StatedAmount, Update};
use cashier_core::status::{ProviderStatus, TransactionStatus};

use super::manual::{DEPOSIT, PROCESS, WITHDRAWAL, by_id, entry};
use super::review::{RESOLVE, RETRY};
use super::*;
use crate::test_cashier::{AMOUNT, OnPost, lock, paid, update};
use crate::trading::import::import_text;

const EXPLAIN: &str = "MngExplainCashierTransaction";
const UPDATE: &str = "MngUpdateCashierTransaction";
const WORK_LIST: &str = "MngGetCashierDutiesByFilter";

fn group(brand: &str, currency: &str, enable: u8) -> String {
    format!(
        r#"{{"group": "real", "brand": "{brand}", "currency": "{currency}", "account_mode": 1, "enable": {enable}}}"#
    )
}

fn customer(id: u64, brand: &str) -> String {
    format!(
        r#"{{"customer_id": {id}, "country": "FR", "brand": "{brand}", "status": 0, "deposit_allowed": 0, "withdrawal_allowed": 0}}"#
    )
}

fn account(owner: u64, enable: u8) -> String {
    format!(r#"{{"login": 2000009, "customer_id": {owner}, "group": "real", "enable": {enable}}}"#)
}

fn roster(groups: &[String], customers: &[String], accounts: &[String]) -> String {
    let [groups, customers, accounts] = [groups, customers, accounts].map(|rows| rows.join(","));
    format!(r#"{{"groups": [{groups}], "customers": [{customers}], "accounts": [{accounts}]}}"#)
}

impl ManagerApi {
    /// As by a command on the stopped server: nothing asks which orders are under way.
    fn import(&self, roster: &str) {
        let trading = self.env.trading.bases.get().unwrap().trading();
        std::thread::scope(|scope| scope.spawn(|| import_text(roster, &trading).map(drop).unwrap()).join()).unwrap();
    }

    /// An order of 100 USD that is paid after the account has changed.
    async fn paid_after(roster: &str) -> (Self, Reference) {
        let api = Self::over(TestCashier::with_bases(&[1]).await).await;
        let reference = api.env.deposit("k").await.unwrap().transaction.reference;
        api.import(roster);
        api.env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
        api.env.run_for(5).await;
        (api, reference)
    }

    fn amounts_posted(&self) -> Vec<i64> {
        self.env.trading.postings().iter().map(|(.., minor)| *minor).collect()
    }

    /// How many items of the work list are about it.
    async fn waits(&self) -> usize {
        let (_, data) = self.command("manager", WORK_LIST, "{}").await;
        data["rows"].as_array().unwrap().iter().filter(|row| row["transaction_id"] == 1).count()
    }
}

#[tokio::test(start_paused = true)]
async fn a_deposit_whose_account_was_disabled_or_moved_to_another_brand_is_credited_by_its_webhook() {
    let changes = [
        ("the account is disabled", roster(&[], &[], &[account(5, 0)])),
        ("the group is disabled", roster(&[group("ion4", "USD", 0)], &[], &[])),
        ("the customer's country and permissions", roster(&[], &[customer(5, "ion4")], &[])),
        ("another brand", roster(&[group("other", "USD", 1)], &[customer(5, "other")], &[])),
    ];
    for (what, changed) in changes {
        let (api, reference) = ManagerApi::paid_after(&changed).await;
        assert_eq!((api.seen(1).await["status"].clone(), api.amounts_posted()), (json!(3), vec![AMOUNT]), "{what}");
        let brand = api.env.aggregate(TransactionId(1)).transaction.brand;
        assert_eq!((&*brand, api.waits().await), ("ion4", 0), "{what}");
        api.env.notice(Some(1), vec![paid("e2", &reference)]).await.unwrap();
        api.env.run_for(60).await;
        assert_eq!(api.amounts_posted(), [AMOUNT], "{what}: once");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deposit_whose_account_has_another_currency_or_owner_waits_and_is_credited_once_it_is_mended() {
    let changes = [
        (
            "CURRENCY_MISMATCH",
            roster(&[group("ion4", "EUR", 1)], &[], &[]),
            roster(&[group("ion4", "USD", 1)], &[], &[]),
        ),
        ("OWNER_MISMATCH", roster(&[], &[customer(6, "ion4")], &[account(6, 1)]), roster(&[], &[], &[account(5, 1)])),
    ];
    for (reason, changed, mended) in changes {
        let (api, reference) = ManagerApi::paid_after(&changed).await;
        assert_eq!((api.seen(1).await["status"].clone(), api.amounts_posted()), (json!(4), vec![]), "{reason}");
        assert!(api.waits().await > 0, "{reason}: the work list names it");
        let (_, explained) = api.command("manager", EXPLAIN, &by_id(1)).await;
        assert_eq!((&explained["summary"]["command"], &explained["owed"]), (&json!(RETRY), &json!(100.0)));
        assert!(explained["summary"]["manager"].as_str().unwrap().contains(reason), "{explained}");
        let refused = format!("BALANCE_IN of 100.0 USD: refused, {reason}");
        let entries = explained["entries"].as_array().unwrap();
        assert!(entries.iter().any(|entry| entry["title"] == *refused), "{explained}");

        // Neither time, nor the provider's repetition, nor a retry that comes too early credits it or loses it.
        api.env.notice(Some(1), vec![paid("e2", &reference)]).await.unwrap();
        api.env.run_for(60).await;
        api.command("manager#8", RETRY, &by_id(1)).await;
        api.env.run_for(60).await;
        assert_eq!((api.seen(1).await["status"].clone(), api.amounts_posted()), (json!(4), vec![]), "{reason}");

        api.import(&mended);
        assert_eq!(api.command("manager#8", RETRY, &by_id(1)).await.0, 200, "{reason}");
        api.env.run_for(60).await;
        assert_eq!((api.seen(1).await["status"].clone(), api.amounts_posted()), (json!(3), vec![AMOUNT]), "{reason}");
        assert_eq!(api.error("manager#9", RETRY, &by_id(1)).await.0, 409, "{reason}: nothing is left to retry");
        assert_eq!((api.amounts_posted(), api.waits().await), (vec![AMOUNT], 0), "{reason}");
    }
}

/// A request of the command about the transaction.
fn request(command: &str) -> String {
    match command {
        RESOLVE => r#"{"id":1,"action":"refuse","reason":"not ours"}"#.into(),
        UPDATE => r#"{"id":1,"status":6}"#.into(),
        _ => by_id(1),
    }
}

#[tokio::test(start_paused = true)]
async fn the_command_that_an_explanation_names_is_accepted_in_that_state() {
    let less = |own: &Reference| Update { amount: Some(StatedAmount::Exact(usd(2_500))), ..paid("less", own) };
    let as_payment = |id: &str, own: &Reference| Update { payment_id: id.into(), ..paid(id, own) };
    for (what, expected) in [
        ("second", RESOLVE),
        ("less", RESOLVE),
        ("looked", RESOLVE),
        ("refused", RETRY),
        ("held", UPDATE),
        ("manual", PROCESS),
    ] {
        let api = ManagerApi::open().await;
        match what {
            "second" => drop(api.with_statements(|own| vec![as_payment("p1", own), as_payment("p2", own)]).await),
            "less" => drop(api.with_statements(|own| vec![less(own)]).await),
            "looked" => drop(
                api.with_statements(|own| {
                    vec![Update { reference: Some(own.clone()), ..update("r", ProviderStatus::ManualReview) }]
                })
                .await,
            ),
            "held" => {
                api.with_statements(|_| Vec::new()).await;
                api.env.decide(TransactionId(1), PersonFact::Held(TransactionStatus::ManualReview)).await;
            }
            "refused" => {
                lock(&api.env.trading.next_posts).push_back(OnPost::Refuse);
                api.with_statements(|own| vec![paid("e", own)]).await;
            }
            _ => drop(api.entered(DEPOSIT, "").await),
        }
        let (_, explained) = api.command("manager", EXPLAIN, &by_id(1)).await;
        assert_eq!(explained["summary"]["command"], expected, "{what}");
        let (number, answer) = api.command("manager#8", expected, &request(expected)).await;
        assert_eq!(number, 200, "{what}: {answer}");
        let (_, after) = api.command("manager", EXPLAIN, &by_id(1)).await;
        assert_eq!(after["summary"]["command"], "", "{what}: {}", after["summary"]);
        let decisions: Vec<&Value> =
            after["entries"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "decision").collect();
        let by = |entry: &&Value| entry["title"].as_str().unwrap().ends_with("(manager 8)");
        assert!(decisions.last().is_some_and(by), "{what}: {decisions:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_manual_deposit_to_a_demo_account_is_refused_when_it_is_entered_unless_the_settings_allow_it() {
    let mut api = ManagerApi::open().await;
    // One that was entered before the group became a demo one: it is answered as before, and refused at its posting.
    let earlier = api.entered(DEPOSIT, r#""idempotency_key":"k1""#).await;
    api.env.trading.demo.store(true, Ordering::SeqCst);
    assert_eq!(api.entered(DEPOSIT, r#""idempotency_key":"k1""#).await, earlier);
    for more in ["", r#""process_now":1"#, r#""force":1,"idempotency_key":"k2""#] {
        let (number, data) = api.command("dealer#7", DEPOSIT, &entry(more)).await;
        assert_eq!((number, &data["error"]), (400, &json!("INVALID_DATA")), "{more}");
        let message = data["message"].as_str().unwrap();
        for part in ["login 2000009 is a demo account", "LIVE_ON_DEMO_ACCOUNT", "allow_live_on_demo", "ion4"] {
            assert!(message.contains(part), "{message}");
        }
    }
    assert_eq!(api.error("dealer#7", PROCESS, &by_id(earlier)).await, (409, "POSTING_REFUSED".into()));
    assert_eq!(api.seen(earlier).await["failure_reason"], "CREDIT_REFUSED: LIVE_ON_DEMO_ACCOUNT");
    assert_eq!(api.env.trading.balance(), 0);
    assert_eq!(
        api.error("manager", "MngGetCashierTransaction", &by_id(earlier + 1)).await.0,
        404,
        "nothing was stored"
    );
    // A withdrawal takes money from the account, whatever mode it has.
    api.entered(WITHDRAWAL, "").await;

    lock(&api.env.trading.allow_live_on_demo).push("ion4".into());
    api.env.crash().await;
    api.context.cashier = Arc::clone(&api.env.cashier);
    let allowed = api.entered(DEPOSIT, r#""process_now":1,"idempotency_key":"k2""#).await;
    assert_eq!((api.seen(allowed).await["status"].clone(), api.posted(allowed)), (json!(3), 10_000));
}
