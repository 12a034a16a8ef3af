//! Whatever is heard, however often, in whatever order and through whichever path: one payment is one credit.

use cashier_tests::customer::order;
use cashier_tests::http::Reply;
use cashier_tests::pending::Pending;
use cashier_tests::roster::LOGIN;
use cashier_tests::signing;
use cashier_tests::stripe_stub::{self, Mood, Said, signed};
use cashier_tests::waiting::eventually;
use cashier_tests::world::{Plan, World};
use futures_util::future::join_all;
use serde_json::{Value, json};

const SECRET: &str = stripe_stub::WEBHOOK_SECRET;

#[tokio::test(flavor = "multi_thread")]
async fn fifty_identical_webhooks_at_once_half_by_each_path_are_one_credit_and_fifty_answers() {
    if !signing::can_sign() {
        return;
    }
    let pending = Pending::of(Plan::default()).await;
    let now = pending.world.clock.unix();
    let (body, (name, signature)) = signed(SECRET, now, &pending.said().intent_succeeded(now));
    let addressed = format!("stripe/{}", pending.config);
    let paths = (0..50).map(|at| if at % 2 == 0 { "stripe" } else { &*addressed });
    let answers = join_all(paths.map(|path| pending.world.webhook(path, (name, &signature), &body))).await;
    let answers: Vec<Value> = answers.iter().map(Reply::fine).collect();
    let first = answers.iter().filter(|answer| answer["duplicate"] == json!(false)).count();
    assert_eq!(first, 1, "one of them is news");
    let events: Vec<&Value> = answers.iter().map(|answer| &answer["event"]["id"]).collect();
    assert!(events.iter().all(|id| *id == events[0]), "all are the same event: {events:?}");
    pending.credited_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn different_events_about_one_payment_at_once_are_one_credit() {
    if !signing::can_sign() {
        return;
    }
    let pending = Pending::of(Plan::default()).await;
    let ids: Vec<String> = (0..8).map(|at| format!("evt_{at}")).collect();
    let said = pending.said();
    let tellings = ids.iter().map(|id| Said { event_id: id, ..said.clone() });
    let answers = join_all(tellings.map(|said| {
        let pending = &pending;
        async move { pending.tell("stripe", SECRET, &said).await }
    }))
    .await;
    for answer in answers {
        assert_eq!(answer.fine()["duplicate"], json!(false), "{}", answer.text());
    }
    pending.credited_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_payment_under_the_same_reference_is_doubt_and_adds_nothing() {
    if !signing::can_sign() {
        return;
    }
    let pending = Pending::of(Plan::default()).await;
    pending.tell("stripe", SECRET, &pending.said()).await.fine();
    pending.tell("stripe", SECRET, &Said { event_id: "evt_2", intent: "pi_other", ..pending.said() }).await.fine();
    let seen = pending.seen().await;
    let reason = seen["transaction"]["failure_reason"].as_str().unwrap();
    assert_eq!(seen["transaction"]["status"], json!(9), "{seen}");
    assert!(reason.starts_with("SECOND_PAYMENT") && reason.contains("pi_stub_1") && reason.contains("pi_other"));
    assert_eq!(
        pending.world.balance(LOGIN).await,
        "250.0 USD",
        "the first payment stays credited, the second adds nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_heard_before_the_create_call_has_answered_is_credited_once() {
    if !signing::can_sign() {
        return;
    }
    // With our reference it is matched at once; with Stripe's id alone it waits until the create call tells that id.
    for with_reference in [true, false] {
        let world = World::new().await;
        world.manager().save_config(&world.stripe_config()).await;
        world.stripe.mood(Mood::Holding);
        let customer = world.customer();
        let depositing = tokio::spawn(async move { customer.deposit(&order("stripe", "250")).await });
        eventually("the create call", async || (!world.stripe.asked().is_empty()).then_some(())).await;
        let reference = if with_reference { world.stripe.latest_reference() } else { String::new() };
        let said = Said {
            event_id: "evt_1",
            reference: &reference,
            intent: "pi_stub_1",
            amount: 25_000,
            currency: "usd",
            live: false,
        };
        let now = world.clock.unix();
        let (body, (name, signature)) = signed(SECRET, now, &said.intent_succeeded(now));
        let heard = world.webhook("stripe", (name, &signature), &body).await.fine();
        let (status, balance) = if with_reference { (json!(3), "250.0 USD") } else { (Value::Null, "0.0 USD") };
        assert_eq!(heard["transaction"]["status"], status, "{heard}");
        assert_eq!(world.balance(LOGIN).await, balance, "reference: {with_reference}");

        world.stripe.mood(Mood::Answering);
        let answer = depositing.await.unwrap().fine();
        let id = answer["transaction"]["id"].as_u64().unwrap();
        assert_eq!(answer["transaction"]["status"], json!(3), "{answer}");
        assert_eq!(answer["transaction"]["provider_payment_id"], json!("pi_stub_1"));
        let again = world.webhook("stripe", (name, &signature), &body).await.fine();
        assert_eq!((&again["duplicate"], &again["transaction"]["status"]), (&json!(true), &json!(3)), "{again}");
        let seen = world.manager().transaction(id).await;
        assert_eq!(seen["balance_operations"].as_array().unwrap().len(), 1, "{seen}");
        assert_eq!(world.balance(LOGIN).await, "250.0 USD");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sandbox_service_that_tells_before_it_answers_is_credited_once() {
    let world = World::new().await;
    world.manager().save_config(&world.sandbox_config()).await;
    world.sandbox.switch(&["webhook_before_answer:confirmed", "webhook_twice"]).await;
    let answers = join_all((0..8).map(|_| async { world.customer().deposit(&order("sandbox", "25")).await })).await;
    for answer in answers {
        let answer = answer.fine();
        let id = answer["transaction"]["id"].as_u64().unwrap();
        let seen = eventually("the credit", async || {
            Some(world.manager().transaction(id).await).filter(|seen| seen["transaction"]["status"] == json!(3))
        })
        .await;
        assert_eq!(seen["balance_operations"].as_array().unwrap().len(), 1, "{seen}");
    }
    assert_eq!(world.balance(LOGIN).await, "200.0 USD");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_the_sandbox_service_misbehaves_ends_as_it_should() {
    // The switch, the status at which the transaction ends, and what is credited.
    let table = [
        ("webhook_twice", 3, "25.0 USD"),
        ("webhook_late:300", 3, "25.0 USD"),
        ("webhook_events:pending+confirmed", 3, "25.0 USD"),
        ("webhook_events:failed+confirmed", 3, "25.0 USD"),
        ("webhook_events:confirmed+failed", 3, "25.0 USD"),
        ("webhook_events:confirmed+pending", 3, "25.0 USD"),
        ("webhook_events:refunded+confirmed", 7, "0.0 USD"),
        ("webhook_events:confirmed+refunded", 7, "0.0 USD"),
        ("webhook_events:confirmed+chargeback+chargeback_reversed", 3, "25.0 USD"),
        ("webhook_events:confirmed+chargeback", 8, "0.0 USD"),
        ("webhook_amount:24.99", 9, "0.0 USD"),
        ("webhook_currency:EUR", 9, "0.0 USD"),
        ("webhook_livemode", 9, "0.0 USD"),
        ("pay_decline", 5, "0.0 USD"),
        ("webhook_reference:D0000000000000000000", 1, "0.0 USD"),
        ("webhook_bad_signature", 1, "0.0 USD"),
        ("webhook_no_signature", 1, "0.0 USD"),
        ("webhook_old:3600", 1, "0.0 USD"),
        ("webhook_garbage", 1, "0.0 USD"),
        ("webhook_never", 1, "0.0 USD"),
    ];
    let outcomes = table.map(|(switch, status, balance)| async move {
        let world = World::new().await;
        world.manager().save_config(&world.sandbox_config()).await;
        world.sandbox.switch(&[switch]).await;
        let answer = world.customer().deposit(&order("sandbox", "25")).await.fine();
        let id = answer["transaction"]["id"].as_u64().unwrap();
        let page = answer["redirect_url"].as_str().unwrap().to_owned();
        world.sandbox.press(&page, "pay").await;
        eventually(&format!("{switch}: every delivery was tried"), async || {
            let log = world.sandbox.deliveries(&page).await;
            let deliveries = log["deliveries"].as_array()?;
            let tried = |it: &Value| {
                it["state"] == json!("withheld") || it["attempts"].as_array().is_some_and(|all| !all.is_empty())
            };
            (!deliveries.is_empty() && deliveries.iter().all(tried)).then_some(())
        })
        .await;
        eventually(&format!("{switch}: status {status}"), async || {
            let seen = world.customer().transaction(id).await;
            (seen["status"] == json!(status) && world.balance(LOGIN).await == balance).then_some(())
        })
        .await;
        if status == 1 {
            // Nothing that can be believed was heard, so the provider is asked; then the truth is known.
            world.clock.advance_seconds(61);
            eventually(&format!("{switch}: asked and credited"), async || {
                (world.balance(LOGIN).await == "25.0 USD").then_some(())
            })
            .await;
        }
        // The account has the money a moment before the cashier has recorded that it was posted.
        eventually(&format!("{switch}: every operation is settled"), async || {
            let operations = world.manager().transaction(id).await["balance_operations"].clone();
            let unsettled = |it: &Value| it["status"] == json!(0) || it["status"] == json!(3);
            (!operations.as_array()?.iter().any(unsettled)).then_some(())
        })
        .await;
    });
    join_all(outcomes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_each_of_twelve_configs_of_one_module_hears_its_own_webhooks() {
    if !signing::can_sign() {
        return;
    }
    let mut world = World::new().await;
    let secret = |number: usize| format!("whsec_of_config_{number}");
    let mut configs = Vec::new();
    for number in 0..12 {
        let mut config = world.stripe_config();
        config["webhook_secret"] = json!(secret(number));
        configs.push(world.manager().save_config(&config).await);
    }
    world.restart().await;
    for (number, id) in configs.into_iter().enumerate() {
        let (event_id, now) = (format!("evt_{number}"), world.clock.unix());
        let said = Said {
            event_id: &event_id,
            reference: "D7K2M9QX4T",
            intent: "pi_nobodys",
            amount: 25_000,
            currency: "usd",
            live: false,
        };
        let (body, (name, signature)) = signed(&secret(number), now, &said.intent_succeeded(now));
        let answer = world.webhook(&format!("stripe/{id}"), (name, &signature), &body).await;
        assert_eq!(answer.fine()["duplicate"], json!(false), "config {id}: {}", answer.text());
    }
}
