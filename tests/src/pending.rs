//! A deposit of 250 USD through Stripe that waits for its webhook, and what may be told about it.

use serde_json::{Value, json};

use crate::customer::order;
use crate::http::Reply;
use crate::roster::LOGIN;
use crate::stripe_stub::{Said, signed};
use crate::waiting::eventually;
use crate::world::{Plan, World};

/// A pending deposit of 250 USD through Stripe.
pub struct Pending {
    pub world: World,
    pub config: u64,
    pub id: u64,
    /// Ours, as Stripe was told it.
    pub reference: String,
}

impl Pending {
    pub async fn of(plan: Plan) -> Self {
        let world = World::of(plan).await;
        let config = world.manager().save_config(&world.stripe_config()).await;
        let answer = world.customer().deposit(&order("stripe", "250")).await.fine();
        let reference = world.stripe.latest_reference();
        Self { config, id: answer["transaction"]["id"].as_u64().expect("an id"), reference, world }
    }

    pub fn said(&self) -> Said<'_> {
        Said {
            event_id: "evt_1",
            reference: &self.reference,
            intent: "pi_stub_1",
            amount: 25_000,
            currency: "usd",
            live: false,
        }
    }

    /// Signs what Stripe says under a secret and sends it to `path`.
    pub async fn tell(&self, path: &str, secret: &str, said: &Said<'_>) -> Reply {
        let now = self.world.clock.unix();
        self.send(path, secret, &said.intent_succeeded(now)).await
    }

    /// The same, sent again for as long as the answer is 503, as Stripe does: a clock that runs many times as fast makes
    /// a busy machine's module look late.
    pub async fn tell_until_taken(&self, path: &str, secret: &str, said: &Said<'_>) -> Reply {
        eventually("the notice to be taken", async || {
            let reply = self.tell(path, secret, said).await;
            (reply.status != 503).then_some(reply)
        })
        .await
    }

    pub async fn send(&self, path: &str, secret: &str, event: &Value) -> Reply {
        let (body, (name, signature)) = signed(secret, self.world.clock.unix(), event);
        self.world.webhook(path, (name, &signature), &body).await
    }

    /// `{"transaction":…, "balance_operations":[…]}` for the manager.
    pub async fn seen(&self) -> Value {
        self.world.manager().transaction(self.id).await
    }

    /// Credited by exactly one posting.
    pub async fn credited_once(&self) {
        let seen = self.seen().await;
        let operations = seen["balance_operations"].as_array().expect("a list");
        assert_eq!((&seen["transaction"]["status"], operations.len()), (&json!(3), 1), "{seen}");
        assert_eq!(self.world.balance(LOGIN).await, "250.0 USD");
    }

    /// Nothing was posted, nor will be.
    pub async fn not_credited(&self) -> Value {
        let seen = self.seen().await;
        assert_eq!(seen["balance_operations"], json!([]), "{seen}");
        assert_eq!(self.world.balance(LOGIN).await, "0.0 USD");
        seen["transaction"].clone()
    }
}
