//! A deposit of 250 USD through Stripe that waits for its webhook, and the events that may arrive for it.

use serde_json::{Value, json};

use crate::customer::order;
use crate::deployment::{Deployment, DeploymentPlan};
use crate::http::HttpAnswer;
use crate::roster::LOGIN;
use crate::stripe_stub::{StripeEventFields, signed};
use crate::waiting::{WAIT_MAX, eventually, eventually_within};

/// A pending deposit of 250 USD through Stripe.
pub struct PendingDeposit {
    pub deployment: Deployment,
    pub config: u64,
    pub id: u64,
    /// Our reference, as sent to Stripe.
    pub reference: String,
}

impl PendingDeposit {
    pub async fn of(plan: DeploymentPlan) -> Self {
        let deployment = Deployment::of(plan).await;
        let config = deployment.manager().save_config(&deployment.stripe_config()).await;
        let answer = deployment.customer().deposit(&order("stripe", "250")).await.expect_ok();
        let reference = deployment.stripe.latest_reference();
        Self { config, id: answer["transaction"]["id"].as_u64().expect("an id"), reference, deployment }
    }

    pub fn event(&self) -> StripeEventFields<'_> {
        StripeEventFields {
            event_id: "evt_1",
            reference: &self.reference,
            intent: "pi_stub_1",
            amount: 25_000,
            currency: "usd",
            live: false,
        }
    }

    /// Signs `payment_intent.succeeded` with a secret and sends it to `path`.
    pub async fn send_event(&self, path: &str, secret: &str, event: &StripeEventFields<'_>) -> HttpAnswer {
        let now = self.deployment.clock.unix();
        self.send(path, secret, &event.intent_succeeded(now)).await
    }

    /// The same, retried while the answer is 503, as Stripe does: on a clock that runs many times faster, a module on a
    /// busy machine exceeds its deadline.
    pub async fn send_event_until_accepted(
        &self,
        path: &str,
        secret: &str,
        event: &StripeEventFields<'_>,
    ) -> HttpAnswer {
        eventually("the webhook to be accepted", async || {
            let reply = self.send_event(path, secret, event).await;
            (reply.status != 503).then_some(reply)
        })
        .await
    }

    pub async fn send(&self, path: &str, secret: &str, event: &Value) -> HttpAnswer {
        let (body, (name, signature)) = signed(secret, self.deployment.clock.unix(), event);
        self.deployment.webhook(path, (name, &signature), &body).await
    }

    /// `{"transaction":…, "balance_operations":[…]}` for the manager.
    pub async fn seen(&self) -> Value {
        self.deployment.manager().transaction(self.id).await
    }

    /// Credited by exactly one posting. The answer to a webhook or a replay does not wait for one that takes long, and the
    /// balance changes a moment before the cashier has recorded it.
    pub async fn credited_once(&self) {
        eventually_within(WAIT_MAX, "the credit", async || {
            let seen = self.seen().await;
            if seen["transaction"]["status"] == json!(3) { Ok(()) } else { Err(seen.to_string()) }
        })
        .await;
        self.posted_once().await;
    }

    /// Exactly one posting, of the whole amount, whatever the status.
    pub async fn posted_once(&self) -> Value {
        let seen = self.seen().await;
        assert_eq!(seen["balance_operations"].as_array().map(Vec::len), Some(1), "{seen}");
        assert_eq!(self.deployment.balance(LOGIN).await, "250.0 USD");
        seen["transaction"].clone()
    }

    /// Nothing is posted or planned.
    pub async fn not_credited(&self) -> Value {
        let seen = self.seen().await;
        assert_eq!(seen["balance_operations"], json!([]), "{seen}");
        assert_eq!(self.deployment.balance(LOGIN).await, "0.0 USD");
        seen["transaction"].clone()
    }
}
