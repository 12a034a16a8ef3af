//! A person's decision about money that is unclear: a posting is tried again, a review is ended. Where a written status stopped
//! the money before, the provider is queried once more first, so that the decision is about what it says now.

use std::sync::Arc;

use cashier_core::aggregate::Aggregate;
use cashier_core::credited_once;
use cashier_core::decisions::{self, Absence, Resolution};
use cashier_core::duty::{ProviderQuery, QueryOutcome};
use cashier_core::ids::TransactionId;
use cashier_core::manual;
use cashier_core::money::{Currency, Money};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::status::Source;

use super::decisions::{Decision, decide_and_settle};
use super::manager_act::{ManagerAct, recorded};
use super::{Cashier, provider_query, refused_before, settle, transactions};

/// Tries again what is owed, unless that ends what a second person must: a review, or with `confirmed_absent` a posting
/// without an answer, of which the person states that it was never made.
///
/// # Errors
/// 404 where it does not exist for the session; what [`decisions::retry`] refuses; 409 with the trading server's reason where
/// that refused the posting again, or where it has made the one that it refused; 503 where the provider, or the trading server about
/// such a posting, does not answer.
pub async fn retry(
    cashier: &Arc<Cashier>,
    act: &ManagerAct,
    id: TransactionId,
    confirmed_absent: bool,
) -> Result<ReviewOutcome, Refusal> {
    let known = transactions::one(cashier, &act.session, id).await?;
    query_once_more(cashier, &known).await?;
    // Before the trading server is asked to void a key; it is judged again under the lock.
    act.check_ground(&known, cashier.clock.now())?;
    two_persons(cashier, act, &known)?;
    refused_before::check(cashier, &known).await?;
    let needs_second = needs_second(cashier, act);
    let absence = match decisions::unanswered(&known)? {
        // Who waits for a second person has no key voided.
        Some(operation) if confirmed_absent && !needs_second => Some(absence(cashier, id, operation).await?),
        Some(_) | None => None,
    };
    let account = cashier.snapshot().merchant_account(known.transaction.config_id);
    let (mut judged, mut waits) = (None, None);
    let after = decide_and_settle(cashier, act, id, |draft, known| {
        if known.owes() {
            credited_once::check_once(draft, known, &account, None)?;
        }
        two_persons(cashier, act, known)?;
        let wanted = match decisions::unanswered(known)? {
            Some(_) if confirmed_absent && needs_second => {
                decisions::check_absent(known, draft.now())?;
                None
            }
            Some(_) | None => Some(decisions::retry(known, absence.as_ref(), draft.context())?),
        };
        let changes = match wanted {
            Some(changes) if !(needs_second && decisions::is_under_review(known)) => changes,
            wanted => {
                let amount = decisions::retried_amount(known, wanted.as_deref().unwrap_or_default());
                waits = Some(ReviewOutcome::Waits { amount, ground: known.ground() });
                return Err(needs_another());
            }
        };
        draft.add(changes);
        judged = Some(known.clone());
        let stated = if confirmed_absent { vec![recorded("confirmed_absent", "", "1")] } else { Vec::new() };
        Ok(Decision { stated, ..Decision::default() })
    })
    .await;
    match waits {
        Some(waits) => Ok(waits),
        None => answered(judged, after?).map(|known| ReviewOutcome::Made(Box::new(known))),
    }
}

/// Whether a review, or a missing answer, that this command ends waits for a second person.
fn needs_second(cashier: &Cashier, act: &ManagerAct) -> bool {
    act.approval.is_none() && cashier.rules.second_person.resolving
}

/// Keeps the decision from being made; the answer is that it waits.
fn needs_another() -> Refusal {
    Refusal::new(RefusalCode::PermissionDenied, "the end of a review, or of a missing answer, needs a second person")
}

/// Whether this person may have a withdrawal or a manual deposit posted again, where two are needed.
fn two_persons(cashier: &Cashier, act: &ManagerAct, known: &Aggregate) -> Result<(), Refusal> {
    // Breaking the glass takes no second person for an approval, whose record says so; no other command is for it.
    let breaks_glass = act.approval.is_some() && act.session.breaks_glass();
    match cashier.rules.second_person.manual && !breaks_glass {
        true => manual::check_second_person(known, act.session.manager_id()),
        false => Ok(()),
    }
}

async fn absence(
    cashier: &Cashier,
    id: TransactionId,
    operation: cashier_core::ids::OperationId,
) -> Result<Absence, Refusal> {
    settle::void_unanswered(cashier, id, operation).await.ok_or_else(|| {
        Refusal::new(RefusalCode::StorageUnavailable, "the trading server does not answer about the posting, try again")
    })
}

/// Reads the amount of a request in a currency.
type ReadAmount = Box<dyn FnOnce(Currency) -> Result<Money, Refusal> + Send>;

/// How a person ends a review, as the request says it: the amount is read once the currency is known.
pub struct ReviewEnd {
    /// `None` closes it.
    pub amount: Option<ReadAmount>,
    pub reason: Box<str>,
}

/// What became of the end of a review, or of a missing answer.
pub enum ReviewOutcome {
    /// The transaction as it is after it.
    Made(Box<Aggregate>),
    /// Nothing changed: it needs a second person. The amount that would be owed, or posted again, where there is one, and the ground
    /// on which it was judged.
    Waits { amount: Option<Money>, ground: u64 },
}

/// Ends what is under review with an exact amount, or closes it, unless that needs a second person.
///
/// # Errors
/// 404 where it does not exist for the session; what [`decisions::resolve`] refuses; 409 with the trading server's reason where it
/// refused the posting, or has made one that it refused; 503 where the provider, or the trading server about such a posting, does not
/// answer.
pub async fn resolve(
    cashier: &Arc<Cashier>,
    act: &ManagerAct,
    id: TransactionId,
    end: ReviewEnd,
) -> Result<ReviewOutcome, Refusal> {
    let known = transactions::one(cashier, &act.session, id).await?;
    let resolution = match end.amount {
        Some(amount) => Resolution::Credit(amount(known.transaction.amount.currency)?),
        None => Resolution::Refuse,
    };
    query_once_more(cashier, &known).await?;
    // As above.
    act.check_ground(&known, cashier.clock.now())?;
    refused_before::check(cashier, &known).await?;
    let (mut judged, mut waits) = (None, None);
    let account = cashier.snapshot().merchant_account(known.transaction.config_id);
    let needs_second = needs_second(cashier, act);
    let after = decide_and_settle(cashier, act, id, |draft, known| {
        if let Resolution::Credit(amount) = resolution
            && amount.minor > 0
        {
            credited_once::check_once(draft, known, &account, Some(amount.minor))?;
        }
        let changes = decisions::resolve(known, resolution, draft.context())?;
        if needs_second {
            waits = Some(known.ground());
            return Err(needs_another());
        }
        draft.add(changes);
        judged = Some(known.clone());
        let decided = match resolution {
            Resolution::Credit(amount) => recorded("resolved", "", amount.to_string()),
            Resolution::Refuse => recorded("resolved", "", "refused"),
        };
        Ok(Decision { stated: vec![decided, recorded("reason", "", end.reason.clone())], ..Decision::default() })
    })
    .await;
    if let Some(ground) = waits {
        let amount = match resolution {
            Resolution::Credit(amount) => Some(amount),
            Resolution::Refuse => None,
        };
        return Ok(ReviewOutcome::Waits { amount, ground });
    }
    answered(judged, after?).map(|known| ReviewOutcome::Made(Box::new(known)))
}

fn answered(judged: Option<Aggregate>, after: Aggregate) -> Result<Aggregate, Refusal> {
    match judged.and_then(|before| decisions::refused_posting(&before, &after)) {
        Some(refusal) => Err(refusal),
        None => Ok(after),
    }
}

/// Queries the provider where a written status stopped the money; what it states is applied before the decision is judged.
async fn query_once_more(cashier: &Arc<Cashier>, known: &Aggregate) -> Result<(), Refusal> {
    let row = &known.transaction;
    if row.source != Source::Provider || !row.facts.money_is_stopped() {
        return Ok(());
    }
    match provider_query::send_after_others(cashier, row.id, ProviderQuery::Status).await.outcome {
        QueryOutcome::Answered | QueryOutcome::NotQueryable | QueryOutcome::NoGateway | QueryOutcome::NotFound => {
            Ok(())
        }
        QueryOutcome::NoAnswer => Err(Refusal::new(
            RefusalCode::ProviderUnavailable,
            "the provider does not answer what became of the payment, try again",
        )),
    }
}
