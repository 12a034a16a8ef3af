//! Orders that have the key of a posting and other values or another source, and moved the balance or may: each is an error in the log once, and shown to
//! the operator until it is gone. Whatever it is, only a person can find out.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::finance_order::FinanceOrder;
use super::next_step::{PostingStep, WantedOrder};
use crate::ports::Fault;

/// Keys that are shown; a platform where more are found is wrong as a whole.
const CONTRADICTIONS_KEPT_MAX: usize = 1024;

/// By the key, the number of the order.
#[derive(Default)]
pub(super) struct Contradictions(Mutex<BTreeMap<Box<str>, u64>>);

impl Contradictions {
    /// What was found of a posting just now.
    pub(super) fn note(&self, wanted: &WantedOrder, orders: &[FinanceOrder]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let PostingStep::Contradicts { order, state } = wanted.next_step(orders) else {
            kept.remove(&wanted.of.key);
            return;
        };
        let is_known = kept.contains_key(&wanted.of.key);
        if is_known || kept.len() < CONTRADICTIONS_KEPT_MAX {
            kept.insert(wanted.of.key.clone(), order);
        }
        if !is_known {
            tracing::error!(
                key = &*wanted.of.key,
                order,
                ?state,
                "finance order has the key of a posting and other values or another source"
            );
        }
    }

    pub(super) fn problem(&self) -> Result<(), Fault> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.iter().next() {
            Some((key, order)) => Err(Fault::new(format!(
                "finance order {order} has the key {key} of a posting and other values or another source: a person must see what it is"
            ))),
            None => Ok(()),
        }
    }
}
