//! One key is one deposit, whatever the provider does with its create call: declined, unreachable, silent or garbled, the
//! customer gets the documented answer and the house finds the truth without paying twice.
#![expect(clippy::indexing_slicing, reason = "a missing field is null and fails the comparison")]

use cashier_tests::clock::Pace;
use cashier_tests::customer::order;
use cashier_tests::http::Reply;
use cashier_tests::roster::{LOGIN, NEIGHBOUR, NEIGHBOUR_LOGIN, REAL_LOGIN};
use cashier_tests::stripe_stub::Mood;
use cashier_tests::waiting::eventually;
use cashier_tests::world::{Plan, World};
use futures_util::future::join_all;
use serde_json::{Value, json};

fn keyed(provider: &str, amount: &str, key: &str) -> Value {
    let mut asked = order(provider, amount);
    asked["idempotency_key"] = json!(key);
    asked
}

async fn world() -> World {
    let world = World::new().await;
    world.manager().save_config(&world.stripe_config()).await;
    world.manager().save_config(&world.sandbox_config()).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_at_the_same_instant_is_one_provider_call_and_one_answer() {
    let world = world().await;
    let asked = keyed("stripe", "50", "k");
    let customer = world.customer();
    world.stripe.mood(Mood::Holding);
    let all = join_all((0..20).map(|_| customer.deposit(&asked)));
    let release = async {
        eventually("the create call", async || (!world.stripe.asked().is_empty()).then_some(())).await;
        world.stripe.mood(Mood::Answering);
    };
    let (answers, ()) = tokio::join!(all, release);
    let mut texts: Vec<String> = answers.iter().map(|answer| answer.fine().to_string()).collect();
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:#?}");
    assert_eq!(world.stripe.asked().len(), 1);
    let again = customer.deposit(&asked).await.fine();
    assert_eq!(again.to_string(), texts[0], "and later");
    assert_eq!(world.stripe.asked().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_for_another_order_is_a_conflict() {
    let world = world().await;
    let customer = world.customer();
    let first = customer.deposit(&keyed("stripe", "50", "k")).await.fine();
    for same in ["50.0", "50.00"] {
        let again = customer.deposit(&keyed("stripe", same, "k")).await.fine();
        assert_eq!(again["transaction"]["id"], first["transaction"]["id"], "{same} is the same amount");
    }
    let others: [(&str, Value); 5] = [
        ("amount", json!(51)),
        ("provider", json!("sandbox")),
        ("method", json!("card")),
        ("currency", json!("EUR")),
        ("login", json!(REAL_LOGIN)),
    ];
    for (field, value) in others {
        let mut asked = keyed("stripe", "50", "k");
        asked[field] = value;
        assert_eq!(customer.deposit(&asked).await.refusal(), (409, "IDEMPOTENCY_CONFLICT".into()), "{field}");
    }
    // Another customer has keys of their own; no key is never the same.
    let mut neighbours = keyed("stripe", "70", "k");
    neighbours["login"] = json!(NEIGHBOUR_LOGIN);
    world.customer_of(NEIGHBOUR).deposit(&neighbours).await.fine();
    let blank = [customer.deposit(&order("stripe", "50")).await, customer.deposit(&keyed("stripe", "50", "")).await];
    assert_ne!(blank[0].fine()["transaction"]["id"], blank[1].fine()["transaction"]["id"]);
    assert_eq!(world.stripe.asked().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_order_binds_no_key() {
    let world = world().await;
    let customer = world.customer();
    assert_eq!(customer.deposit(&keyed("stripe", "1", "k")).await.refusal(), (400, "AMOUNT_OUT_OF_RANGE".into()));
    customer.deposit(&keyed("stripe", "50", "k")).await.fine();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_payment_is_502_with_its_transaction_and_stays_so() {
    let world = world().await;
    let customer = world.customer();
    world.stripe.mood(Mood::Declining);
    let mut told = Vec::new();
    for _ in 0..2 {
        let answer = customer.deposit(&keyed("stripe", "50", "k")).await;
        assert_eq!(answer.refusal(), (502, "PROVIDER_DECLINED".into()));
        let transaction = answer.json()["transaction"].clone();
        assert_eq!((&transaction["status"], transaction["amount"].to_string()), (&json!(5), "50.0".into()));
        told.push(answer.text());
        world.stripe.mood(Mood::Answering);
    }
    assert_eq!(told[0], told[1], "the same key repeats the first answer");
    assert_eq!(world.stripe.asked().len(), 1);
    assert_eq!(world.balance(LOGIN).await, "0.0 USD");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_provider_is_503_and_releases_the_key() {
    let mut world = world().await;
    world.sandbox.stop().await;
    let customer = world.customer();
    let answer = customer.deposit(&keyed("sandbox", "50", "k")).await;
    assert_eq!(answer.refusal(), (503, "PROVIDER_UNAVAILABLE".into()), "{}", answer.text());
    assert!(!answer.header("retry-after").is_empty());
    let failed = customer.transactions("").await.fine()["rows"][0].clone();
    assert_eq!(failed["status"], json!(5), "{failed}");
    // Nothing was sent, so the key may stand for another order, also through another provider.
    let answer = customer.deposit(&keyed("stripe", "60", "k")).await.fine();
    assert_ne!(answer["transaction"]["id"], failed["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_call_whose_answer_is_lost_is_found_out_and_paid_once() {
    // How the create call goes wrong at first; under the same key the service then answers with what it recorded.
    for switch in ["create_drop", "create_lost:1", "create_garbage", "create_500:1", "create_500:2"] {
        let world = World::of(Plan { pace: Pace::Times(1), ..Plan::default() }).await;
        world.manager().save_config(&world.sandbox_config()).await;
        world.sandbox.switch(&[switch]).await;
        let customer = world.customer();
        let asked = keyed("sandbox", "50", "k");
        let answer = customer.deposit(&asked).await.fine();
        let brief = json!([answer["next_action"], answer["redirect_url"], answer["transaction"]["status"]]);
        assert_eq!(brief, json!(["WAIT", "", 1]), "{switch}: unknown is never failed: {answer}");
        let id = answer["transaction"]["id"].clone();

        let page = eventually(&format!("{switch}: the page"), async || {
            world.clock.advance_seconds(30);
            let again = customer.deposit(&asked).await.fine();
            assert_eq!(again["transaction"]["id"], id, "{switch}: {again}");
            again["redirect_url"].as_str().filter(|page| !page.is_empty()).map(str::to_owned)
        })
        .await;
        assert_eq!(world.sandbox.press(&page, "pay").await.fine()["status"], json!("confirmed"));
        eventually(&format!("{switch}: the credit"), async || (world.balance(LOGIN).await == "50.0 USD").then_some(()))
            .await;
        let reference = world.sandbox.payment(&page).await["reference"].as_str().unwrap_or_default().to_owned();
        let payments = world.sandbox.payments_of(&reference).await;
        assert_eq!(payments["count"], json!(1), "{switch}: one payment at the provider: {payments}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_who_asks_too_often_is_told_to_wait() {
    let plan = Plan { pace: Pace::Still, settings: "deposits_per_minute = 3\n".into(), ..Plan::default() };
    let world = World::of(plan).await;
    world.manager().save_config(&world.stripe_config()).await;
    let customer = world.customer();
    let answers: Vec<Reply> =
        [customer.deposit(&order("stripe", "20")).await, customer.deposit(&order("stripe", "20")).await].into();
    answers.iter().for_each(|answer| drop(answer.fine()));
    customer.deposit(&order("stripe", "20")).await.fine();
    let refused = customer.deposit(&order("stripe", "20")).await;
    assert_eq!(refused.refusal(), (429, "RET_ERR_FREQUENT".into()));
    assert!(!refused.header("retry-after").is_empty());
    let mut neighbours = order("stripe", "20");
    neighbours["login"] = json!(NEIGHBOUR_LOGIN);
    world.customer_of(NEIGHBOUR).deposit(&neighbours).await.fine();
    world.clock.advance_seconds(20);
    customer.deposit(&order("stripe", "20")).await.fine();
}
