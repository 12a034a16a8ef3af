//! What persons do in a history: every command about transactions, with whatever values, and the customer's withdrawal.

use std::sync::Arc;

use cashier_core::aggregate::Aggregate;
use cashier_core::ids::{ManagerId, TransactionId};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::{CustomerSession, ManagerSession, Role};
use cashier_core::status::{Source, TransactionStatus};
use cashier_core::time::UnixTime;
use cashier_core::withdrawal::WithdrawalRequest;
use serde_json::{Value, json};

use super::{History, any_refund};
use crate::flows::{RequestContext, manual, withdrawal};
use crate::manager::{ManagerContext, Tokens, answer};
use crate::test_cashier::{AMOUNT, CUSTOMER, LOGINS, context, lock, usd};

pub(super) const DEPOSIT: &str = "MngCreateManualCashierDeposit";
const WITHDRAWAL: &str = "MngCreateManualCashierWithdrawal";
pub(super) const PROCESS: &str = "MngProcessManualCashierTransaction";
pub(super) const REJECT: &str = "MngRejectManualCashierTransaction";
pub(super) const RETRY: &str = "MngRetryCashierCredit";
pub(super) const RESOLVE: &str = "MngResolveCashierDoubt";
pub(super) const UPDATE: &str = "MngUpdateCashierTransaction";
const REFUND: &str = "MngRefundCashierTransaction";
const CANCEL: &str = "MngCancelCashierTransaction";
const REPLAY: &str = "MngReplayCashierProviderEvent";
pub(super) const APPROVE: &str = "MngApproveCashierChange";
const DISAPPROVE: &str = "MngRejectCashierChange";

/// Those that succeed in every few histories; an approval is rejected, and a withdrawal taken back, in fewer.
pub(super) const NAMES: [&str; 12] =
    [DEPOSIT, WITHDRAWAL, PROCESS, REJECT, RETRY, RESOLVE, UPDATE, REFUND, CANCEL, REPLAY, APPROVE, REQUESTED];
const REQUESTED: &str = "POST /cashier/withdrawal";
const TAKEN_BACK: &str = "POST /cashier/withdrawal/{id}/cancel";

/// A manual deposit of another amount than the orders.
const OTHER_AMOUNT: i64 = 7_700;

/// The token is the manager's id.
struct AnyManager;

impl Tokens for AnyManager {
    fn manager(&self, token: Option<&str>, _: &RequestContext, _: UnixTime) -> Result<ManagerSession, Refusal> {
        let id = token.and_then(|token| token.parse().ok()).map(ManagerId);
        let id = id.ok_or_else(|| Refusal::new(RefusalCode::Unauthorized, "no manager"))?;
        Ok(ManagerSession::assertion(id, Role::Manager, None))
    }
}

impl History {
    /// A command as this manager; the answer's number and data.
    pub(super) fn command(
        &self,
        manager: u64,
        name: &'static str,
        data: &Value,
    ) -> impl Future<Output = (u16, Value)> + Send + 'static {
        let cashier = Arc::clone(&self.run.env.cashier);
        let message = json!({"command": name, "extID": "1", "data": data}).to_string();
        let (answered, asked) = (Arc::clone(&self.answered), Arc::clone(&self.asked));
        async move {
            let manager_context = ManagerContext { cashier, tokens: Arc::new(AnyManager) };
            let token = manager.to_string();
            let (number, body) = answer(&manager_context, message.as_bytes(), Some(&token), context()).await;
            let mut envelope: Value = serde_json::from_slice(&body.collected().await).unwrap();
            assert_ne!(number, 500, "{message}: {envelope}");
            *lock(&answered).entry((name, number)).or_default() += 1;
            let data = envelope["data"].take();
            if number == 202 {
                lock(&asked).push(data["approval"]["id"].as_u64().unwrap());
            }
            (number, data)
        }
    }

    /// A person does something about something.
    pub(super) fn a_person_acts(&mut self) {
        let Ok(known) = self.run.env.cashier.ledger.peek(|books| books.aggregates().collect::<Vec<_>>()) else {
            return;
        };
        let random = &mut self.run.random;
        let manager = 7 + random.below(3);
        let (act, draw) = (random.below(28), random.below(1_000));
        // Mostly one that the command is for, sometimes any.
        let is_meant = |known: &&Aggregate| {
            let (row, by_hand) = (&known.transaction, known.transaction.source == Source::Manual);
            match act {
                5..=9 | 27 => by_hand,
                13..=14 => row.status == TransactionStatus::ManualReview && !by_hand,
                18..=20 => row.status == TransactionStatus::Credited && !by_hand,
                21 => row.is_unpaid(),
                _ => true,
            }
        };
        let meant: Vec<&Aggregate> = known.iter().filter(|known| draw.is_multiple_of(5) || is_meant(known)).collect();
        let id = random.below(meant.len().max(1) as u64) as usize;
        let target = meant.get(id).map_or(1, |known| known.transaction.id.0);
        let (name, data) = match act {
            0..=3 => self.entry(&known, draw),
            4 => (WITHDRAWAL, json!({"login": LOGINS[0].0, "amount": 10, "currency": "USD", "process_now": draw % 2})),
            5..=7 => (PROCESS, json!({"id": target})),
            8..=9 => (REJECT, json!({"id": target, "reject_reason": "no"})),
            10..=12 => (RETRY, json!({"id": target, "confirmed_absent": draw % 2})),
            13..=14 => match draw % 4 {
                0 => (RESOLVE, json!({"id": target, "action": "refuse", "reason": "r"})),
                1 => (RESOLVE, json!({"id": target, "action": "credit", "amount": 50, "reason": "r"})),
                _ => (RESOLVE, json!({"id": target, "action": "credit", "amount": 100, "reason": "r"})),
            },
            15..=16 => (UPDATE, json!({"id": target, "status": draw % 10})),
            17 => (UPDATE, json!({"id": target, "status": 1, "failure_reason": "called the bank"})),
            18..=20 => {
                lock(&self.run.env.provider.next_refunds).push_back(any_refund(draw));
                let amount = [json!({}), json!({"amount": 30}), json!({"amount": 50})][draw as usize % 3].clone();
                let mut data = json!({"id": target, "reason": "r", "idempotency_key": format!("r{}", draw % 5)});
                data.as_object_mut().unwrap().extend(amount.as_object().unwrap().clone());
                (REFUND, data)
            }
            21 => {
                if let Some(payments) = &mut *lock(&self.run.env.provider.payments) {
                    payments.refuses_cancel = draw.is_multiple_of(4);
                }
                (CANCEL, json!({"id": target, "reason": "r"}))
            }
            22 if draw.is_multiple_of(2) => (REPLAY, json!({"id": 1 + draw % 20, "dry_run": draw % 3 / 2})),
            22 => (REPLAY, json!({"provider_config_id": 1, "since": 1, "dry_run": draw % 3 / 2})),
            23..=25 => {
                let asked = lock(&self.asked).clone();
                let Some(id) = asked.get(draw as usize % asked.len().max(1)) else { return };
                (if draw.is_multiple_of(4) { DISAPPROVE } else { APPROVE }, json!({"id": id}))
            }
            26 => return self.a_customer_withdraws(draw),
            _ => return self.a_customer_takes_it_back(target),
        };
        self.note(format!("manager {manager}: {name} {data}"));
        let sent = self.command(manager, name, &data);
        self.run.requests.spawn(async move {
            sent.await;
            None
        });
    }

    /// A manual deposit: of money of its own, of a payment of an order, beside an order or not.
    fn entry(&self, known: &[Aggregate], draw: u64) -> (&'static str, Value) {
        let references = self.run.env.provider.references();
        let order = references.get(draw as usize % references.len().max(1));
        let payment = match (draw / 7 % 6, order) {
            (0, Some(order)) | (1, Some(order)) => format!("pay_{order}"),
            (2, Some(order)) => format!("pi-{order}"),
            (3, Some(order)) => {
                let of = known.iter().find(|known| known.transaction.reference == *order);
                of.map(|known| known.transaction.provider_payment_id.to_string()).unwrap_or_default()
            }
            (4, _) => format!("bank-{}", draw % 4),
            _ => String::new(),
        };
        let minor = if draw.is_multiple_of(3) { AMOUNT } else { OTHER_AMOUNT };
        let mut data = json!({
            "login": LOGINS[draw as usize % 2].0,
            "amount": minor / 100,
            "currency": "USD",
            "provider_payment_id": payment,
            "force": u8::from(!draw.is_multiple_of(4)),
            "process_now": draw / 3 % 2,
        });
        if draw.is_multiple_of(5) {
            data["idempotency_key"] = json!(format!("m{}", draw % 3));
        }
        (DEPOSIT, data)
    }

    fn a_customer_withdraws(&mut self, draw: u64) {
        let cashier = Arc::clone(&self.run.env.cashier);
        let session = CustomerSession::assertion(CUSTOMER, None);
        let request = WithdrawalRequest {
            customer_id: CUSTOMER,
            login: LOGINS[draw as usize % 2],
            method: "bank".into(),
            amount: usd(1_000),
            idempotency_key: format!("w{}", draw % 6).into(),
            comment: "".into(),
            metadata_json: "{}".into(),
            refused_if_new: None,
        };
        let answered = Arc::clone(&self.answered);
        self.note("the customer asks for a withdrawal".to_owned());
        self.run.requests.spawn(async move {
            let made = withdrawal::withdraw(&cashier, &session, request, context()).await;
            let number = made.map_or_else(|refusal| refusal.code.number(), |_| 200);
            *lock(&answered).entry((REQUESTED, number)).or_default() += 1;
            None
        });
    }

    fn a_customer_takes_it_back(&mut self, id: u64) {
        let cashier = Arc::clone(&self.run.env.cashier);
        let session = CustomerSession::assertion(CUSTOMER, None);
        let answered = Arc::clone(&self.answered);
        self.note(format!("the customer cancels {id}"));
        self.run.requests.spawn(async move {
            let made = manual::cancel(&cashier, &session, TransactionId(id), &context()).await;
            let number = made.map_or_else(|refusal| refusal.code.number(), |_| 200);
            *lock(&answered).entry((TAKEN_BACK, number)).or_default() += 1;
            None
        });
    }
}
