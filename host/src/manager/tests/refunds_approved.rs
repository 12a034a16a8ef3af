//! Refunds that wait for a second person: above which amount, what approving makes, and what makes it stale.

use cashier_core::approval::RefundLimits;
use cashier_core::ids::TransactionId;
use cashier_core::notice::Update;

use super::*;
use crate::test_cashier::{OnRefund, lock, paid};

const REFUND: &str = "MngRefundCashierTransaction";
const APPROVE: &str = "MngApproveCashierChange";
const REJECT: &str = "MngRejectCashierChange";
const LIST: &str = "MngGetCashierApprovalsByFilter";

/// A credited deposit of 100 USD, where refunds of more than 50 USD need a second person.
pub(super) async fn credited() -> ManagerApi {
    let mut api = ManagerApi::with_second_person_for(&["refunds"]).await;
    lock(&api.env.trading.rights).1 = RefundLimits::new([usd(5_000)]);
    restart(&mut api).await;
    api.env.deposit("k").await.unwrap();
    pay(&api, "evt_1").await;
    assert_eq!(api.env.status(TransactionId(1)), 3);
    api
}

async fn restart(api: &mut ManagerApi) {
    api.env.crash().await;
    api.context.cashier = Arc::clone(&api.env.cashier);
}

async fn pay(api: &ManagerApi, event: &str) {
    let reference = api.env.aggregate(TransactionId(1)).transaction.reference;
    api.env.notice(Some(1), vec![paid(event, &reference)]).await.unwrap();
}

/// Asks for a refund that waits; the request that decides about it.
pub(super) async fn asked(api: &ManagerApi, token: &str, data: &str) -> String {
    let (number, asked) = api.command(token, REFUND, data).await;
    assert_eq!((number, &asked["approval"]["state"]), (202, &json!("open")), "{asked}");
    format!(r#"{{"id":{}}}"#, asked["approval"]["id"])
}

fn sent(api: &ManagerApi) -> Vec<i64> {
    lock(&api.env.provider.refunds).iter().map(|sent| sent.refund.amount.minor).collect()
}

#[tokio::test(start_paused = true)]
async fn a_refund_above_the_limit_waits_and_one_made_in_parts_waits_as_well() {
    let api = credited().await;
    let whole = r#"{"id":1,"reason":"CANARY"}"#;
    let (number, answer) = api.command("dealer#7", REFUND, whole).await;
    let shown = ["command", "transaction_id", "amount", "currency", "asked_by", "fields"];
    let expected = json!([REFUND, 1, 100.0, "USD", 7, ["refund"]]);
    assert_eq!((number, json!(shown.map(|name| &answer["approval"][name]))), (202, expected));
    assert_eq!((sent(&api), api.env.trading.balance()), (vec![], 10_000), "nothing changed yet");
    assert_eq!(api.command("dealer#7", REFUND, r#"{"id":1,"amount":50,"reason":"x"}"#).await.0, 200, "up to the limit");
    assert_eq!(sent(&api), [5_000]);
    // It is found with its payment among what waits for a person; what was refunded meanwhile has made it stale.
    let waiting = r#"{"where":[["transaction_id","=",1],["kind","=","config_approval"]]}"#;
    let (_, found) = api.command("manager", "MngGetCashierDutiesByFilter", waiting).await;
    let shown = ["approval_id", "amount", "currency", "provider", "command"].map(|name| &found["rows"][0][name]);
    let approval = &answer["approval"]["id"];
    assert_eq!(json!([found["count"], shown]), json!([1, [approval, 100.0, "USD", "stripe", REJECT]]), "{found}");
    let (_, explained) = api.command("manager", "MngExplainCashierTransaction", r#"{"id":1}"#).await;
    let of_payment = ["customer_id", "login", "ground"].map(|name| &found["rows"][0][name]);
    assert_eq!(json!(of_payment), json!([5, 2_000_009, explained["ground"]]), "{found}");
    for (condition, count) in
        [(r#"["customer_id","=",5]"#, 1), (r#"["login","=",2000009]"#, 1), (r#"["login","=",0]"#, 0)]
    {
        let data = format!(r#"{{"where":[["kind","=","config_approval"],{condition}],"limit":1}}"#);
        for (limit, form) in [("1", AnswerForm::Json), ("60000", AnswerForm::Csv)] {
            let data = data.replace("\"limit\":1", &format!("\"limit\":{limit}"));
            let message = format!(r#"{{"command":"MngGetCashierDutiesByFilter","data":{data},"__token":"manager"}}"#);
            let answer = answer_as(form, &api.context, message.as_bytes(), None, context()).await;
            let text = String::from_utf8(answer.body.collected().await).unwrap();
            assert_eq!(
                (answer.number, text.matches("config_approval").count() > 0),
                (200, count > 0),
                "{data}: {text}"
            );
        }
    }
    // Together with what was refunded it is more than the limit.
    let part = asked(&api, "dealer#7", r#"{"id":1,"amount":0.01,"reason":"x"}"#).await;
    let (_, listed) = api.command("manager", LIST, r#"{"where":[["transaction_id","=",1]]}"#).await;
    assert_eq!(listed["count"], 2);
    assert_eq!(api.command("manager@other", LIST, "{}").await.1["count"], 0);
    assert_eq!(api.command("manager#8@ion4", APPROVE, &part).await.0, 200);
    assert_eq!((sent(&api), api.env.trading.balance()), (vec![5_000, 1], 4_999));
}

#[tokio::test(start_paused = true)]
async fn approving_makes_the_refund_once_under_the_approvers_scope() {
    let mut api = credited().await;
    let data = r#"{"id":1,"amount":80,"reason":"x","idempotency_key":"r1"}"#;
    let by_id = asked(&api, "dealer#7", data).await;
    assert_eq!(asked(&api, "dealer#7", data).await, by_id, "the same again is the same approval");
    restart(&mut api).await;
    let refused = [
        ("dealer#7", 403, "PERMISSION_DENIED"),
        ("customer#8", 403, "PERMISSION_DENIED"),
        ("manager#8@other", 404, "RET_ERR_NOTFOUND"),
    ];
    for (token, number, error) in refused {
        assert_eq!(api.error(token, APPROVE, &by_id).await, (number, error.into()), "{token}");
    }
    assert!(sent(&api).is_empty());
    // A notice that states nothing new.
    pay(&api, "evt_2").await;
    let (number, approved) = api.command("manager#8", APPROVE, &by_id).await;
    assert_eq!((number, &approved["approval"]["state"]), (200, &json!("approved")), "{approved}");
    assert_eq!((sent(&api), api.env.trading.balance()), (vec![8_000], 2_000));
    assert_eq!(api.error("manager#9", APPROVE, &by_id).await, (409, "RET_ERR_DUPLICATE".into()));
    assert_eq!(api.command("dealer#7", REFUND, data).await.0, 200, "the request again is answered as it was made");
    assert_eq!(sent(&api), [8_000]);
    let done = api.all_records().into_iter().find(|record| record.outcome == "done").unwrap();
    let who = (done.manager_id, &*done.command, done.transaction_id.0, done.config_id.0);
    assert_eq!(who, (ManagerId(8), REFUND, 1, 1));
    assert_eq!(format!(r#"{{"id":{}}}"#, done.approval), by_id);
}

/// The commands that the work list names for what waits for a second person.
pub(super) async fn listed(api: &ManagerApi) -> Vec<String> {
    let waiting = r#"{"where":[["kind","=","config_approval"]]}"#;
    let (_, found) = api.command("manager", "MngGetCashierDutiesByFilter", waiting).await;
    found["rows"].as_array().unwrap().iter().map(|row| row["command"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn what_was_refunded_meanwhile_makes_it_stale_and_a_rejected_one_is_never_made() {
    let api = credited().await;
    let stale = asked(&api, "dealer#7", r#"{"id":1,"reason":"x"}"#).await;
    assert_eq!(listed(&api).await, [APPROVE]);
    assert_eq!(api.command("manager#9", REFUND, r#"{"id":1,"amount":10,"reason":"y"}"#).await.0, 200);
    assert_eq!(listed(&api).await, [REJECT], "what would be refused is not named");
    assert_eq!(api.error("manager#8", APPROVE, &stale).await, (409, "APPROVAL_STALE".into()));
    assert_eq!(sent(&api), [1_000], "not what is left instead");
    assert_eq!(api.command("dealer#7", REJECT, &stale).await.1["approval"]["state"], "rejected");
    let rejected = asked(&api, "dealer#7", r#"{"id":1,"reason":"x"}"#).await;
    assert_eq!(api.command("manager#8", REJECT, &rejected).await.0, 200);
    assert_eq!(api.error("manager#8", APPROVE, &rejected).await, (409, "RET_ERR_DUPLICATE".into()));
    assert_eq!(sent(&api), [1_000]);
    let record = api.all_records().into_iter().rfind(|record| record.outcome == "rejected").unwrap();
    assert_eq!((record.transaction_id.0, record.manager_id), (1, ManagerId(8)));
}

#[tokio::test(start_paused = true)]
async fn what_can_never_be_refunded_is_refused_when_it_is_asked() {
    let api = credited().await;
    for (token, data, number) in [
        ("dealer#7", r#"{"id":1,"amount":100.01,"reason":"x"}"#, 400),
        ("dealer#7", r#"{"id":9,"reason":"x"}"#, 404),
        ("dealer#7@other", r#"{"id":1,"reason":"x"}"#, 404),
        ("customer#7", r#"{"id":1,"reason":"x"}"#, 403),
    ] {
        assert_eq!(api.error(token, REFUND, data).await.0, number, "{token} {data}");
    }
    assert_eq!(api.command("manager", LIST, "{}").await.1["count"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_refund_that_the_provider_refuses_is_the_approvers_answer_and_the_money_is_back() {
    let api = credited().await;
    let by_id = asked(&api, "dealer#7", r#"{"id":1,"reason":"x"}"#).await;
    lock(&api.env.provider.next_refunds).push_back(OnRefund::Decline);
    assert_eq!(api.error("manager#8", APPROVE, &by_id).await, (502, "PROVIDER_DECLINED".into()));
    assert_eq!(api.env.trading.balance(), 10_000);
    assert_eq!(api.error("manager#9", APPROVE, &by_id).await, (409, "RET_ERR_DUPLICATE".into()), "it was made once");
    assert_eq!(sent(&api).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_managers_who_approve_at_once_refund_once() {
    let api = credited().await;
    let by_id = asked(&api, "dealer#7", r#"{"id":1,"reason":"x"}"#).await;
    let (one, other) =
        tokio::join!(api.command("manager#8", APPROVE, &by_id), api.command("manager#9", APPROVE, &by_id));
    let mut numbers = [one.0, other.0];
    numbers.sort_unstable();
    assert_eq!((numbers, sent(&api), api.env.trading.balance()), ([200, 409], vec![10_000], 0));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_review_waits_and_a_new_payment_makes_it_stale() {
    const RESOLVE: &str = "MngResolveCashierDoubt";
    let api = ManagerApi::with_second_person_for(&["resolving"]).await;
    let reference = api.env.deposit("k").await.unwrap().transaction.reference;
    let pay = async |payment: &str| {
        let update = Update { payment_id: payment.into(), ..paid(payment, &reference) };
        api.env.notice(Some(1), vec![update]).await.unwrap();
    };
    pay("pay_1").await;
    pay("pay_2").await;
    assert_eq!((api.env.status(TransactionId(1)), api.env.trading.balance()), (9, 10_000));
    let credit = r#"{"id":1,"action":"credit","amount":200,"reason":"both"}"#;
    assert_eq!(
        api.error("dealer#7", RESOLVE, &credit.replace("200", "200.01")).await.0,
        400,
        "judged when it is asked"
    );
    let (number, asked) = api.command("dealer#7", RESOLVE, credit).await;
    let shown = json!(["amount", "fields", "command"].map(|name| &asked["approval"][name]));
    assert_eq!((number, shown), (202, json!([200.0, ["credit"], RESOLVE])));
    assert_eq!((api.env.status(TransactionId(1)), api.env.trading.balance()), (9, 10_000), "nothing changed yet");
    let stale = format!(r#"{{"id":{}}}"#, asked["approval"]["id"]);
    pay("pay_3").await;
    assert_eq!(api.error("manager#8", APPROVE, &stale).await, (409, "APPROVAL_STALE".into()));
    let (_, asked) = api.command("dealer#7", RESOLVE, credit).await;
    let by_id = format!(r#"{{"id":{}}}"#, asked["approval"]["id"]);
    assert_ne!(by_id, stale, "on another ground it is another approval");
    assert_eq!(api.error("dealer#7", APPROVE, &by_id).await, (403, "PERMISSION_DENIED".into()));
    assert_eq!(api.command("manager#8", APPROVE, &by_id).await.1["approval"]["state"], "approved");
    assert_eq!((api.env.status(TransactionId(1)), api.env.trading.balance()), (3, 20_000));
}
