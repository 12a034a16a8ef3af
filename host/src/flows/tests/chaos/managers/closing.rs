//! Persons work the list off by the commands that it names, knowing what was paid: of each order exactly that, unless a manual
//! deposit has the money. Nothing may be left that no command ends.

use cashier_core::aggregate::Aggregate;
use cashier_core::duty::WaitsFor;
use cashier_core::ids::TransactionId;
use cashier_core::status::Source;
use serde_json::{Value, json};

use super::commands::{APPROVE, PROCESS, REJECT, RESOLVE, RETRY, UPDATE};
use super::{History, model};
use crate::test_cashier::lock;

/// So often the list is worked through; each decision may bring a next one.
const ROUNDS: usize = 8;

impl History {
    pub(super) async fn work_the_list_off(&mut self) {
        for round in 0..ROUNDS {
            let mut is_done = true;
            for known in self.run.env.aggregates() {
                let items = self.work(&known);
                if items.iter().any(|item| item.kind.waits_for() == WaitsFor::Person) {
                    is_done = false;
                    let command = items.iter().map(|item| item.command).find(|command| !command.is_empty());
                    self.end(known.transaction.id, command.unwrap_or_default(), round).await;
                }
                self.check_step();
            }
            self.run.env.run_for(7_200).await;
            self.check_step();
            if is_done {
                return;
            }
        }
    }

    async fn end(&mut self, id: TransactionId, command: &str, round: usize) {
        let known = self.run.env.aggregate(id);
        if model::held(&known).is_some() && known.transaction.status.number() != 9 || command == UPDATE {
            self.done(UPDATE, json!({"id": id.0, "status": 1})).await;
            return;
        }
        if known.transaction.source == Source::Manual {
            let first = if command == RETRY { RETRY } else { PROCESS };
            if !self.done(first, json!({"id": id.0})).await && !self.done(REJECT, rejection(id)).await {
                self.done(RETRY, json!({"id": id.0})).await;
            }
            return;
        }
        if command == RETRY && self.done(RETRY, json!({"id": id.0, "confirmed_absent": 1})).await {
            return;
        }
        self.resolve(&known, round).await;
    }

    /// Ends a review with what is left of the payment.
    async fn resolve(&mut self, order: &Aggregate, round: usize) {
        let id = order.transaction.id;
        let all = self.run.env.aggregates();
        // A manual deposit of the same money that waits is rejected, one that is credited has the money.
        for entry in self.entries_of(&all, order).into_iter().filter(|known| !known.transaction.approved_time.is_set())
        {
            self.done(REJECT, rejection(entry.transaction.id)).await;
        }
        let has_entry = !self.entries_of(&self.run.env.aggregates(), order).is_empty();
        let truth = if has_entry { 0 } else { self.truth(&order.transaction.reference) };
        // Beside a manual deposit that does not carry its id, and that a person has not decided yet, it waits for that.
        let is_last = round + 2 >= ROUNDS;
        let credit = json!({"id": id.0, "action": "credit", "amount": truth / 100, "reason": "as the bank says"});
        if truth > 0 && self.done(RESOLVE, credit).await {
            self.closed.insert(id, truth);
        } else if (truth == 0 || is_last) && self.done(RESOLVE, refusal(id)).await {
            self.closed.insert(id, 0);
        }
    }

    /// A command of one manager, approved by another where it waits; whether it was done.
    async fn done(&mut self, name: &'static str, data: Value) -> bool {
        let sent = self.command(31, name, &data);
        let (mut number, answer) = sent.await;
        if number == 202 {
            let approval = answer["approval"]["id"].clone();
            let sent = self.command(32, APPROVE, &json!({"id": approval}));
            number = sent.await.0;
        }
        self.note(format!("worked off: {name} {data}: {number} {}", answer["message"]));
        lock(&self.asked).clear();
        number == 200
    }
}

fn rejection(id: TransactionId) -> Value {
    json!({"id": id.0, "reject_reason": "the order has the money"})
}

fn refusal(id: TransactionId) -> Value {
    json!({"id": id.0, "action": "refuse", "reason": "not paid"})
}
