//! What a provider says of payments, after its module verified and normalized it, and how the cashier weighs it:
//! amount, currency, brand and mode are compared here before anything becomes a fact (API.md section 3, webhook rule 4).

use crate::facts::{ProviderFact, ReviewHold};
use crate::ids::{ConfigId, EventId, NoticeId, Reference, TransactionId};
use crate::money::Money;
use crate::refs::ProviderRef;
use crate::status::{ProcessingStatus, ProviderStatus, SignatureStatus};
use crate::time::UnixTime;
use crate::transaction::Transaction;

/// An amount as the provider states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatedAmount {
    Exact(Money),
    /// Text that is no amount of a known currency; compared to nothing, it is a mismatch.
    Unreadable(Box<str>),
}

/// Whether a refund statement is one refund or the sum so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Delta,
    TotalSoFar,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundStatement {
    /// Empty when the provider names none; required for [`Reach::Delta`] to be told apart from its repetition.
    pub id: Box<str>,
    pub amount: StatedAmount,
    pub reach: Reach,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeStatement {
    pub id: Box<str>,
    /// `None` disputes the whole payment.
    pub amount: Option<StatedAmount>,
}

/// One normalized status update: what one event, or the answer to one question, says about one payment. `refund` and
/// `dispute` add their facts to that of the status: money that went back, and money that is disputed, unless the status
/// says that the dispute was reversed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The provider's id of the event; empty when it has none.
    pub event_id: Box<str>,
    /// Our reference, where the provider brings it back.
    pub reference: Option<Reference>,
    pub refs: Vec<ProviderRef>,
    pub status: ProviderStatus,
    /// The provider's stable id of the payment; empty when not stated.
    pub payment_id: Box<str>,
    pub amount: Option<StatedAmount>,
    pub refund: Option<RefundStatement>,
    pub dispute: Option<DisputeStatement>,
    /// The provider's own status word.
    pub raw_status: Box<str>,
    /// The provider's own words for why, short and without secrets.
    pub reason: Box<str>,
    /// The mode the provider states; `None` when it does not.
    pub sandbox: Option<bool>,
    /// The payment waits for a call that moves money (a capture).
    pub advance: bool,
}

/// Under which config something was heard. Its signature has power over that config's transactions alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivingConfig {
    pub config_id: ConfigId,
    pub provider: Box<str>,
    /// Empty serves every brand.
    pub brand: Box<str>,
    pub sandbox: bool,
    /// The kind of id that becomes `provider_payment_id`.
    pub primary_ref_kind: Box<str>,
    /// SHA-256 of the module file, hex; kept with events so that a replay knows what normalized them.
    pub module_hash: Box<str>,
}

/// Proof that a gateway found a notice genuine. Made by the webhook flow from a module's `Genuine` verdict alone.
#[derive(Debug, Clone)]
pub struct VerifiedNotice {
    receiver: ReceivingConfig,
    updates: Vec<Update>,
}

impl VerifiedNotice {
    /// The caller asserts that the receiver's own gateway answered `Genuine` with these updates for the raw bytes.
    pub fn assertion(receiver: ReceivingConfig, updates: Vec<Update>) -> Self {
        Self { receiver, updates }
    }

    pub fn receiver(&self) -> &ReceivingConfig {
        &self.receiver
    }

    pub fn updates(&self) -> &[Update] {
        &self.updates
    }
}

/// An event row (API.md section 2). Body and headers are stored once per notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderEvent {
    pub id: EventId,
    pub notice_id: NoticeId,
    pub config_id: ConfigId,
    pub provider: Box<str>,
    pub brand: Box<str>,
    /// The provider's id, or one derived from the body's SHA-256.
    pub event_id: Box<str>,
    /// `TransactionId(0)` while none is known.
    pub transaction_id: TransactionId,
    pub provider_payment_id: Box<str>,
    pub signature_status: SignatureStatus,
    pub processing_status: ProcessingStatus,
    pub failure_reason: Box<str>,
    /// What the module made of it; absent for events that were not genuine.
    pub update: Option<Update>,
    pub module_hash: Box<str>,
    pub created_time: UnixTime,
    pub processed_time: UnixTime,
}

/// Weighs an update about `transaction`, heard under `receiver`, and says which facts it establishes.
/// An update heard under another config establishes nothing: `Err` carries the event's failure reason.
pub fn weigh(
    transaction: &Transaction,
    receiver: &ReceivingConfig,
    update: &Update,
) -> Result<Vec<ProviderFact>, String> {
    if receiver.config_id != transaction.config_id {
        return Err(format!(
            "PROVIDER_CONFIG_MISMATCH: heard under config {}, the transaction was made under {}",
            receiver.config_id, transaction.config_id
        ));
    }
    let mut facts = stated_facts(transaction, update);
    if update.advance {
        facts.push(ProviderFact::AdvanceWanted { event: update.event_id.clone() });
    }
    let moves_money = facts.iter().any(is_money);
    if moves_money && let Some(doubt) = wrong_world(transaction, receiver, update) {
        facts = vec![ProviderFact::ReviewHold(doubt)];
    }
    Ok(facts)
}

fn is_money(fact: &ProviderFact) -> bool {
    match fact {
        ProviderFact::Confirmed { .. }
        | ProviderFact::Refund { .. }
        | ProviderFact::RefundedTotal { .. }
        | ProviderFact::Chargeback { .. }
        | ProviderFact::ChargebackReversed { .. } => true,
        ProviderFact::Accepted
        | ProviderFact::AdvanceWanted { .. }
        | ProviderFact::Unanswered
        | ProviderFact::Declined { .. }
        | ProviderFact::Cancelled { .. }
        | ProviderFact::ReviewHold(_) => false,
    }
}

/// Mode and brand must agree before money is believed.
fn wrong_world(transaction: &Transaction, receiver: &ReceivingConfig, update: &Update) -> Option<ReviewHold> {
    let mode = |sandbox: bool| if sandbox { "sandbox" } else { "live" };
    let stated_sandbox = update.sandbox.unwrap_or(receiver.sandbox);
    if stated_sandbox != transaction.sandbox || receiver.sandbox != transaction.sandbox {
        return Some(mismatch("mode", mode(transaction.sandbox), mode(stated_sandbox), None));
    }
    if !receiver.brand.is_empty() && receiver.brand != transaction.brand {
        return Some(mismatch("brand", &transaction.brand, &receiver.brand, None));
    }
    None
}

fn mismatch(what: &str, expected: &str, stated: &str, stated_minor: Option<i64>) -> ReviewHold {
    ReviewHold::Mismatch { what: what.into(), expected: expected.into(), stated: stated.into(), stated_minor }
}

fn stated_facts(transaction: &Transaction, update: &Update) -> Vec<ProviderFact> {
    let reason =
        || -> Box<str> { if update.reason.is_empty() { update.raw_status.clone() } else { update.reason.clone() } };
    match update.status {
        ProviderStatus::Pending => vec![ProviderFact::Accepted],
        ProviderStatus::Confirmed => {
            let disputed = update.dispute.is_some().then(|| chargeback(transaction, update));
            [Some(confirmation(transaction, update)), refund_beside(transaction, update), disputed]
                .into_iter()
                .flatten()
                .collect()
        }
        ProviderStatus::Failed => vec![ProviderFact::Declined { reason: reason() }],
        ProviderStatus::Cancelled => vec![ProviderFact::Cancelled { reason: cancel_code(update) }],
        ProviderStatus::Refunded => vec![refund(transaction, update)],
        ProviderStatus::Chargeback => {
            [Some(chargeback(transaction, update)), refund_beside(transaction, update)].into_iter().flatten().collect()
        }
        ProviderStatus::ChargebackReversed => {
            let id = update.dispute.as_ref().map_or_else(|| update.payment_id.clone(), |dispute| dispute.id.clone());
            let reversed = ProviderFact::ChargebackReversed { id };
            [Some(reversed), paid_again(transaction, update), refund_beside(transaction, update)]
                .into_iter()
                .flatten()
                .collect()
        }
        ProviderStatus::ManualReview => {
            let mut facts = vec![ProviderFact::ReviewHold(ReviewHold::Requested { status: reason() })];
            if let Some(StatedAmount::Exact(stated)) = &update.amount {
                let doubt =
                    mismatch("amount", &transaction.amount.to_string(), &stated.to_string(), Some(stated.minor));
                if *stated != transaction.amount {
                    facts = vec![ProviderFact::ReviewHold(doubt)];
                }
            }
            facts
        }
        ProviderStatus::Unknown => Vec::new(),
    }
}

fn cancel_code(update: &Update) -> Box<str> {
    if update.raw_status.contains("expired") { "EXPIRED".into() } else { "CANCELLED".into() }
}

fn confirmation(transaction: &Transaction, update: &Update) -> ProviderFact {
    let payment = update.payment_id.clone();
    match &update.amount {
        None => ProviderFact::ReviewHold(ReviewHold::AmountUnstated { payment }),
        Some(stated) => match compare(transaction, stated) {
            Ok(minor) if minor == transaction.amount.minor => ProviderFact::Confirmed { payment, minor },
            Ok(minor) => ProviderFact::ReviewHold(mismatch(
                "amount",
                &transaction.amount.to_string(),
                &Money::new(minor, transaction.amount.currency).to_string(),
                Some(minor),
            )),
            Err(doubt) => ProviderFact::ReviewHold(doubt),
        },
    }
}

/// What went back, where a payment that stands otherwise states it too: an answer to a question tells all at once what
/// notices tell one by one.
fn refund_beside(transaction: &Transaction, update: &Update) -> Option<ProviderFact> {
    update.refund.is_some().then(|| refund(transaction, update))
}

/// A payment whose dispute was lifted is paid. Heard where the whole ordered amount is stated beside the dispute; any
/// other amount may be the disputed one and says nothing of the payment.
fn paid_again(transaction: &Transaction, update: &Update) -> Option<ProviderFact> {
    let whole = update.amount.as_ref().is_some_and(|stated| *stated == StatedAmount::Exact(transaction.amount));
    (whole && update.dispute.is_some()).then(|| confirmation(transaction, update))
}

fn refund(transaction: &Transaction, update: &Update) -> ProviderFact {
    let Some(statement) = &update.refund else {
        return match update.amount.as_ref().map(|stated| compare(transaction, stated)) {
            None => ProviderFact::RefundedTotal { minor: transaction.amount.minor },
            Some(Ok(minor)) => ProviderFact::RefundedTotal { minor },
            Some(Err(doubt)) => ProviderFact::ReviewHold(doubt),
        };
    };
    match (compare(transaction, &statement.amount), statement.reach) {
        (Err(doubt), _) => ProviderFact::ReviewHold(doubt),
        (Ok(minor), Reach::TotalSoFar) => ProviderFact::RefundedTotal { minor },
        (Ok(minor), Reach::Delta) => {
            let id = if statement.id.is_empty() { update.event_id.clone() } else { statement.id.clone() };
            // Without any id it cannot be told from its own repetition.
            if id.is_empty() {
                return ProviderFact::ReviewHold(ReviewHold::Requested { status: "refund without an id".into() });
            }
            ProviderFact::Refund { id, minor }
        }
    }
}

fn chargeback(transaction: &Transaction, update: &Update) -> ProviderFact {
    let (id, amount) = match &update.dispute {
        Some(dispute) => (dispute.id.clone(), dispute.amount.as_ref()),
        None => (update.payment_id.clone(), update.amount.as_ref()),
    };
    match amount.map(|stated| compare(transaction, stated)) {
        None => ProviderFact::Chargeback { id, minor: transaction.amount.minor },
        Some(Ok(minor)) => ProviderFact::Chargeback { id, minor },
        Some(Err(doubt)) => ProviderFact::ReviewHold(doubt),
    }
}

/// The stated minor units, if they are of the transaction's currency.
fn compare(transaction: &Transaction, stated: &StatedAmount) -> Result<i64, ReviewHold> {
    let expected = transaction.amount;
    match stated {
        StatedAmount::Exact(money) if money.currency == expected.currency => Ok(money.minor),
        StatedAmount::Exact(money) => Err(mismatch("currency", &expected.to_string(), &money.to_string(), None)),
        StatedAmount::Unreadable(text) => Err(mismatch("amount", &expected.to_string(), text, None)),
    }
}
