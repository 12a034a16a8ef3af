//! What a transaction does with reversals of a payment that turns out to be another transaction's: `inbox` decides which.

use super::{Aggregate, DecisionContext};
use crate::change::Change;
use crate::facts::ProviderFact;
use crate::notice::ReceivingConfig;
use crate::refs::ProviderRef;

impl Aggregate {
    /// Gives up what went back of a payment that is another transaction's, with the ids that came with its confirmation.
    pub(crate) fn give_up_reversals(
        &self,
        receiver: &ReceivingConfig,
        payment: &str,
        refs: &[ProviderRef],
        at: DecisionContext,
    ) -> Vec<Change> {
        let mut next = self.clone();
        next.transaction.facts.drop_reversals(payment);
        let own = next.transaction.refs.iter().filter(|id| *id.value == *payment).cloned();
        let refs: Vec<ProviderRef> = own.chain(refs.iter().cloned()).collect();
        next.give_up_refs(receiver, &refs);
        next.settled(self, at)
    }

    /// Keeps what went back of a payment that is another transaction's, and is held for review; the ids that came with its
    /// confirmation are that one's.
    pub(crate) fn keep_reversals(
        &self,
        receiver: &ReceivingConfig,
        holds: Vec<ProviderFact>,
        refs: &[ProviderRef],
        at: DecisionContext,
    ) -> Vec<Change> {
        let mut next = self.clone();
        for hold in holds {
            next.record_review(hold, at);
        }
        next.give_up_refs(receiver, refs);
        next.settled(self, at)
    }

    fn give_up_refs(&mut self, receiver: &ReceivingConfig, refs: &[ProviderRef]) {
        let row = &mut self.transaction;
        row.refs.remove(refs);
        if refs.iter().any(|id| id.value == row.provider_payment_id) {
            row.provider_payment_id = row.refs.of_kind(&receiver.primary_ref_kind).unwrap_or_default().into();
        }
    }
}
