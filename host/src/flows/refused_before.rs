//! Postings of a transaction that were refused, before a person has something posted anew: a server that answered wrongly, or a person
//! there, may have made one all the same, or may still make it, and the same money would move twice. So their keys are voided first.

use std::sync::Arc;

use cashier_core::aggregate::Aggregate;
use cashier_core::operation::{BalanceOperation, PostingOutcome};
use cashier_core::reason::ReasonCode;
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::status::OperationStatus;

use super::{Cashier, settle};
use crate::ports::Voiding;

/// Refused postings that are asked for, the newest: each was asked for before the one after it.
const REFUSED_VOIDED_MAX: usize = 8;

/// Has the trading server void the keys of what it refused.
///
/// # Errors
/// 409 where it has made one; 503 where it says nothing certain of one.
pub(super) async fn check(cashier: &Arc<Cashier>, known: &Aggregate) -> Result<(), Refusal> {
    let is_refused = |operation: &&BalanceOperation| operation.status == OperationStatus::Refused;
    for operation in known.operations.iter().rev().filter(is_refused).take(REFUSED_VOIDED_MAX) {
        let recorded = settle::recorded(cashier, known.transaction.id, |known| known.id == operation.id).await;
        let Some(recorded) = recorded else {
            return Err(Refusal::new(RefusalCode::StorageUnavailable, "storage is not available, try again"));
        };
        let posting = settle::posting(cashier, &recorded);
        let key = posting.get().key();
        match cashier.trading.void(posting, ReasonCode::Withheld).await {
            Ok(Voiding::Settled(PostingOutcome::Posted { trade_order, .. })) => {
                return Err(Refusal::new(
                    RefusalCode::Duplicate,
                    format!(
                        "the trading server has made the posting {key} (trade order {trade_order}), which it refused before: correct it \
                         there, or stop the cashier and take it over with cashier db reconcile --apply"
                    ),
                ));
            }
            // What it does not show, it refused.
            Ok(Voiding::Settled(_) | Voiding::Undecided { .. }) => {}
            Err(fault) => {
                return Err(Refusal::new(
                    RefusalCode::StorageUnavailable,
                    format!("the trading server says nothing certain of the posting {key} before, try again: {fault}"),
                ));
            }
        }
    }
    Ok(())
}
