//! Signed webhooks, each for another deposit, from the first byte to the credited account and the answer; against the
//! yardstick's single commit, with as many clients.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::deposits::Deposits;
use super::stubbed::{CLIENTS, with_stub};
use crate::full_server::BenchServer;
use crate::http::{self, RawReply};
use crate::load::{self, Workload};
use crate::postgres::{HOOK, Postgres};
use crate::stub::reference_of;
use crate::table::{FigureRow, alternate, per_second};
use crate::token::stripe_signature;
use crate::{BenchResult, Effort};

/// Clients of ours and of the yardstick, the figure's name, and its aim.
const FIGURES: [(usize, &str, &str, f64); 2] = [
    (16, "signed webhooks to credited, each distinct, 16 clients", "≥ 1", 1.0),
    (64, "signed webhooks to credited, each distinct, 64 clients", "≥ 1.5", 1.5),
];
/// The length that `hook.sql` stores.
const BODY_BYTES: usize = 1500;

pub(crate) fn measure(effort: Effort) -> BenchResult<Vec<FigureRow>> {
    let Some(postgres) = Postgres::start()? else {
        let skipped = |(_, figure, aim, _)| FigureRow::skipped(figure, aim, "no postgresql");
        return Ok(FIGURES.map(skipped).into());
    };
    let (server, _stub) = with_stub()?;
    let deposits = Rc::new(Deposits::with_pages("stripe"));
    let mut rows = Vec::new();
    for (clients, figure, aim, ratio) in FIGURES {
        let pair = alternate(
            effort.rounds,
            || {
                let work = Rc::new(Webhooks::about(paid(&server, &deposits, effort.webhooks)?)?);
                load::exhaust(server.customer, clients, work)
            },
            || postgres.rate(HOOK, clients, effort.round),
        )?;
        rows.push(FigureRow {
            figure,
            measured: per_second(pair.ours),
            limit: format!("PostgreSQL 15, hook.sql: {}", per_second(pair.limit)),
            ratio: Some(pair.ratio),
            aim,
            met: Some(pair.ratio >= ratio),
        });
    }
    Ok(rows)
}

/// Deposits that wait for their webhook, by the provider's session id.
pub(super) fn paid(server: &BenchServer, deposits: &Rc<Deposits>, count: usize) -> BenchResult<Vec<String>> {
    deposits.allow(count);
    load::exhaust(server.customer, CLIENTS, Rc::clone(deposits))?;
    deposits.take_sessions(count)
}

/// Which answer says that a deposit is credited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Credited {
    /// The money is on the account; the cashier's own record of that follows, or is there where a round of the janitor posted
    /// first.
    Posted,
    /// The cashier's own record says so.
    Recorded,
}

/// Requests signed beforehand: the sender's work is not measured.
pub(super) struct Webhooks {
    requests: Vec<Vec<u8>>,
    next: Cell<usize>,
    credited: Credited,
}

impl Webhooks {
    pub(super) fn about(sessions: Vec<String>) -> BenchResult<Self> {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let requests: Option<Vec<_>> = sessions.iter().map(|session| request(session, unix)).collect();
        let requests = requests.ok_or("a session without a reference")?;
        Ok(Self { requests, next: Cell::default(), credited: Credited::Posted })
    }

    pub(super) fn expecting(self, credited: Credited) -> Self {
        Self { credited, ..self }
    }
}

impl Workload for Webhooks {
    fn next(&self) -> Option<Vec<u8>> {
        let place = self.next.get();
        self.next.set(place + 1);
        self.requests.get(place).cloned()
    }

    fn is_expected(&self, reply: &RawReply<'_>) -> bool {
        let is_posted = reply.has("\"status\":2") && self.credited == Credited::Posted;
        let is_credited = is_posted || reply.has("\"status\":3");
        reply.status == 200 && is_credited && reply.has("\"duplicate\":false")
    }
}

fn request(session: &str, unix: u64) -> Option<Vec<u8>> {
    let reference = reference_of(session)?;
    let event = |filler: &str| {
        json!({
            "id": format!("evt_{reference}"), "object": "event", "type": "checkout.session.completed",
            "api_version": "2025-01-27.acacia", "created": unix, "livemode": false, "pending_webhooks": 1,
            "request": {"id": null, "idempotency_key": null},
            "data": {"object": {
                "id": session, "object": "checkout.session", "amount_subtotal": 25000, "amount_total": 25000,
                "automatic_tax": {"enabled": false, "status": null}, "cancel_url": "https://ion4.example/deposit/failed",
                "client_reference_id": reference, "created": unix, "currency": "usd", "customer": null,
                "customer_details": {
                    "address": {"city": null, "country": "AT", "postal_code": "1010"},
                    "email": "customer@example.com", "name": "A. Customer",
                },
                "expires_at": 4_102_444_800_u64, "livemode": false, "metadata": {"transaction_id": reference},
                "mode": "payment", "payment_intent": format!("pi_{reference}"), "payment_method_types": ["card"],
                "payment_status": "paid", "status": "complete", "success_url": "https://ion4.example/deposit/done",
                "url": null, "custom_text": filler,
            }},
        })
        .to_string()
    };
    let filler = "x".repeat(BODY_BYTES.saturating_sub(event("").len()));
    let body = event(&filler);
    let signature = stripe_signature("whsec_bench", unix, &body);
    Some(http::post("/cashier/webhook/stripe/1", &[("stripe-signature", &signature)], &body))
}
