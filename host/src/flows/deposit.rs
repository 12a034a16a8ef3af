//! A deposit: session → account facts → idempotency and eligibility → durable → provider → durable → answer. A client that
//! disconnects cancels nothing; requests with the same key wait for the same create call.

use std::sync::Arc;
use std::time::Duration;

use cashier_core::account::AccountFacts;
use cashier_core::aggregate::{Aggregate, CreateEnding};
use cashier_core::change::{Body, Change, OrderDetails};
use cashier_core::deposit::{self, DepositRequest};
use cashier_core::eligibility::{self, ConfigCandidate, Eligible, Wanted};
use cashier_core::facts::PersonFact;
use cashier_core::ids::{Reference, TransactionId};
use cashier_core::inbox::{self, AppliedAnswer, CreateAnswerStated};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::{Actor, CustomerSession};
use cashier_core::transaction::{FirstAnswer, Fresh, KeySpace, NextAction, Transaction};
use tokio::sync::oneshot;

use super::single_flight::Flight;
use super::{Cashier, RequestContext, configure, settle};
use crate::ledger::{Estimate, Ticket};
use crate::ports::{CreateAnswer, Durable, Gateway, Order, StoredAnswer};

/// How often a deposit starts over because the config it chose was edited meanwhile.
const STALE_CONFIG_RETRIES: usize = 2;

/// What the customer is answered.
#[derive(Debug, Clone)]
pub struct DepositOutcome {
    pub transaction: Transaction,
    pub answer: StoredAnswer,
    /// Time spent waiting for the provider; not the cashier's own.
    pub provider_time: Duration,
}

impl DepositOutcome {
    /// The published "no" that goes with the transaction, if its create call ended with one.
    pub fn refusal(&self) -> Option<Refusal> {
        match self.transaction.first_answer {
            FirstAnswer::Declined => {
                Some(Refusal::new(RefusalCode::ProviderDeclined, "the payment provider declined the payment"))
            }
            FirstAnswer::NeverSent => {
                Some(Refusal::new(RefusalCode::ProviderUnavailable, "the payment provider is unavailable"))
            }
            FirstAnswer::Open | FirstAnswer::Accepted | FirstAnswer::Unknown => None,
        }
    }

    /// What the customer does next; an open or unknown create call means waiting, unless a notice has ended the payment.
    pub fn next_action(&self) -> NextAction {
        match self.transaction.first_answer {
            FirstAnswer::Open | FirstAnswer::Unknown if self.transaction.status.is_final() => NextAction::None,
            FirstAnswer::Open | FirstAnswer::Unknown => NextAction::Wait,
            FirstAnswer::Accepted | FirstAnswer::Declined | FirstAnswer::NeverSent => self.transaction.next_action,
        }
    }
}

/// Makes a deposit, or repeats the answer of the one that its idempotency key stands for.
pub async fn deposit(
    cashier: &Arc<Cashier>,
    session: &CustomerSession,
    request: DepositRequest,
    context: RequestContext,
) -> Result<DepositOutcome, Refusal> {
    cashier.limits.deposits.check(session.customer_id())?;
    let (sender, outcome) = oneshot::channel();
    let (flow, session) = (Arc::clone(cashier), session.clone());
    cashier.spawn.spawn(Box::pin(async move {
        // The client may have disconnected, already while the account was looked up; the deposit goes on all the same.
        let _ = sender.send(make(&flow, &session, request, context).await);
    }));
    outcome.await.unwrap_or_else(|_| Err(Refusal::new(RefusalCode::Internal, "the deposit was interrupted")))
}

async fn make(
    cashier: &Arc<Cashier>,
    session: &CustomerSession,
    request: DepositRequest,
    context: RequestContext,
) -> Result<DepositOutcome, Refusal> {
    let account = cashier.own_account(session, request.login).await?;
    if let Some(earlier) = cashier.ledger.peek(|books| bound(books, &request))? {
        return repeat(cashier, &request, earlier).await;
    }
    let _admitted = cashier.ledger.admit(Estimate::deposit(request.metadata_json.len() as u64))?;
    begin(cashier, account, request, context).await
}

enum Opened {
    New {
        opened: Box<Aggregate>,
        #[expect(dead_code, reason = "held until the create call has ended, so that requests with the same key wait")]
        flight: Option<Flight>,
    },
    Earlier(TransactionId),
    StaleConfig,
}

async fn begin(
    cashier: &Arc<Cashier>,
    account: AccountFacts,
    request: DepositRequest,
    context: RequestContext,
) -> Result<DepositOutcome, Refusal> {
    for _ in 0..=STALE_CONFIG_RETRIES {
        let (eligible, gateway) = choose(cashier, &account, &request)?;
        let details = details(cashier, &request, &eligible, &context);
        let opening = Opening { account: &account, request: &request, eligible, gateway: &*gateway, details: &details };
        let durable = opening.open(cashier, &context.request_id)?.durable().await?;
        match durable.get() {
            Opened::StaleConfig => {}
            Opened::Earlier(id) => return repeat(cashier, &request, *id).await,
            // The flight is held by `durable`, until the end of the create call is durable.
            Opened::New { opened, flight: _ } => {
                let order = Arc::new(order_of(&opened.transaction, details));
                return create(cashier, durable.with(|_| order), &*gateway, &context.request_id).await;
            }
        }
    }
    Err(Refusal::new(RefusalCode::MethodNotAvailable, "the payment method is being changed, try again"))
}

/// Which config serves the deposit, checked in the published order.
fn choose(
    cashier: &Cashier,
    account: &AccountFacts,
    request: &DepositRequest,
) -> Result<(Eligible, Arc<dyn Gateway>), Refusal> {
    deposit::check_account(request, account)?;
    let snapshot = cashier.snapshot();
    let candidates: Vec<ConfigCandidate<'_>> =
        snapshot.configs_of(&request.provider).map(|served| snapshot.candidate(served)).collect();
    let wanted = Wanted {
        provider: &request.provider,
        method: &request.method,
        provider_config_id: request.provider_config_id,
        amount: request.amount,
    };
    let eligibility = snapshot.eligibility_context(account, cashier.clock.now());
    let overrides = snapshot.overrides_of(request.customer_id);
    let eligible = eligibility::choose(&eligibility, &candidates, overrides, &wanted)?;
    deposit::check_return_urls(request, eligible.sandbox())?;
    let gateway = snapshot.config(eligible.config_id()).and_then(|served| served.gateway.as_ref().ok());
    match gateway {
        Some(gateway) => Ok((eligible, Arc::clone(gateway))),
        None => Err(Refusal::new(RefusalCode::MethodNotAvailable, "this payment method is not available")),
    }
}

/// A deposit that is eligible, before its transaction exists.
struct Opening<'a> {
    account: &'a AccountFacts,
    request: &'a DepositRequest,
    eligible: Eligible,
    gateway: &'a dyn Gateway,
    details: &'a OrderDetails,
}

impl Opening<'_> {
    /// Opens the transaction, unless its key was bound or its config was edited since it was chosen.
    fn open(&self, cashier: &Cashier, request_id: &str) -> Result<Ticket<Opened>, Refusal> {
        let Self { account, request, eligible, gateway, details } = self;
        let random = [cashier.entropy.bits(), cashier.entropy.bits()];
        let stamp = cashier.stamp(Actor::Customer(request.customer_id), request_id);
        cashier.ledger.decide(&stamp, |draft| {
            if let Some(earlier) = bound(draft.books(), request) {
                return Opened::Earlier(earlier);
            }
            let config = cashier.snapshot().config(eligible.config_id()).map(|served| Arc::clone(&served.config));
            let current = config.as_ref().map(|config| config.version);
            let mut references = random.map(Reference::from_random).into_iter();
            let reference = references.find(|new| draft.by_reference(new).is_none());
            let Some(reference) = reference.filter(|_| current == Some(eligible.version())) else {
                return Opened::StaleConfig;
            };
            let fresh = Fresh { id: draft.next_transaction(), reference, now: draft.now() };
            let mut transaction = deposit::open(request, account, eligible, gateway.expiry_seconds(), fresh);
            if config.is_some_and(|config| configure::reversals_wait(&config)) {
                let at = draft.context();
                transaction.facts.record_person(at.seq, at.now, PersonFact::ReversalsWait);
            }
            let flight = cashier.creating.begin(transaction.id);
            draft.store(Body::Order { transaction_id: transaction.id, details: OrderDetails::clone(details) });
            draft.add([Change::Transaction(Box::new(transaction.clone()))]);
            Opened::New { opened: Box::new(Aggregate { transaction, operations: Vec::new() }), flight }
        })
    }
}

fn bound(books: &cashier_core::books::Books, request: &DepositRequest) -> Option<TransactionId> {
    let key = &*request.idempotency_key;
    (!key.is_empty()).then(|| books.by_key(request.customer_id, KeySpace::Customer, key)).flatten()
}

fn details(cashier: &Cashier, request: &DepositRequest, eligible: &Eligible, context: &RequestContext) -> OrderDetails {
    let (base, provider, config) = (&cashier.rules.public_url, &request.provider, eligible.config_id());
    OrderDetails {
        // `open` finds the config at the version it was chosen at, and so under these terms.
        terms_version: cashier.snapshot().config(config).map_or(0, |served| served.config.terms_version),
        notify_url: format!("{base}/cashier/webhook/{provider}/{config}").into(),
        success_url: request.success_url.clone(),
        failure_url: request.failure_url.clone(),
        locale: context.locale.clone(),
        ip: context.ip.clone(),
        nonce: cashier.entropy.bits(),
    }
}

/// The order as it is sent to the provider: the same from the same transaction and details, byte for byte.
pub(super) fn order_of(transaction: &Transaction, details: OrderDetails) -> Order {
    Order {
        transaction_id: transaction.id,
        reference: transaction.reference.clone(),
        amount: transaction.amount,
        customer_id: transaction.customer_id,
        login: transaction.login,
        brand: transaction.brand.clone(),
        country: transaction.country.clone(),
        method: transaction.method.clone(),
        idempotency_key: transaction.provider_key(),
        notify_url: details.notify_url,
        success_url: details.success_url,
        failure_url: details.failure_url,
        comment: transaction.comment.clone(),
        metadata_json: transaction.metadata_json.clone(),
        locale: details.locale,
        ip: details.ip,
        created_time: transaction.created_time,
        nonce: details.nonce,
    }
}

async fn create(
    cashier: &Arc<Cashier>,
    order: Durable<Arc<Order>>,
    gateway: &dyn Gateway,
    request_id: &str,
) -> Result<DepositOutcome, Refusal> {
    let id = order.get().transaction_id;
    let answer = gateway.create(order).await;
    match &answer.ending {
        CreateEnding::Accepted(_) => {}
        CreateEnding::Declined { .. } | CreateEnding::NeverSent { .. } | CreateEnding::Unknown => {
            tracing::warn!(transaction = %id, ending = ?answer.ending, "payment creation failed");
        }
    }
    let provider_time = answer.provider_time;
    let stored =
        StoredAnswer { redirect_url: answer.redirect_url.clone(), instructions_json: answer.instructions_json.clone() };
    let ended = end_create(cashier, id, gateway, answer, request_id).await?;
    let transaction = if ended.operations.is_empty() {
        ended.transaction
    } else {
        settle::within_patience(cashier, id).await;
        durable(cashier, id).await?
    };
    Ok(DepositOutcome { transaction, answer: stored, provider_time })
}

/// Records how the create call ended and what its answer states, and waits until that is durable.
pub(super) async fn end_create(
    cashier: &Arc<Cashier>,
    id: TransactionId,
    gateway: &dyn Gateway,
    answer: CreateAnswer,
    request_id: &str,
) -> Result<Aggregate, Refusal> {
    let receiver = cashier.receiver(gateway);
    let stamp = cashier.stamp(Actor::Provider(receiver.config_id), request_id);
    let CreateAnswer { ending, update, refs, redirect_url, instructions_json, provider_time: _ } = answer;
    let stated = CreateAnswerStated { ending: &ending, update: update.as_ref(), refs: &refs };
    let ticket = cashier.ledger.decide(&stamp, |draft| {
        let recorded = inbox::end_create(draft, &receiver, id, &stated)?;
        if recorded.newly_accepted {
            draft.store(Body::Answer { transaction_id: id, redirect_url, instructions_json });
        }
        Some(recorded)
    })?;
    let recorded = ticket.durable().await?.into_inner().ok_or_else(missing)?;
    match &recorded.not_applied {
        Some(AppliedAnswer::Failed(reason)) => {
            tracing::error!(transaction = %id, %reason, "create answer was not applied");
        }
        Some(AppliedAnswer::OtherPayment) => {
            tracing::error!(transaction = %id, "create answer named another payment: not applied");
        }
        Some(AppliedAnswer::Applied { .. }) | None => {}
    }
    Ok(recorded.aggregate)
}

fn missing() -> Refusal {
    Refusal::new(RefusalCode::Internal, "the transaction is not in the books")
}

/// The answer of an earlier request under the same key. Another order under it is a conflict at once.
async fn repeat(
    cashier: &Arc<Cashier>,
    request: &DepositRequest,
    id: TransactionId,
) -> Result<DepositOutcome, Refusal> {
    if !deposit::same_order(&durable(cashier, id).await?, request) {
        return Err(deposit::key_conflict());
    }
    // The wait for another request's create call is the provider's time.
    let began = cashier.clock.monotonic();
    cashier.creating.ended(id).await;
    let provider_time = cashier.clock.monotonic().saturating_sub(began);
    let transaction = durable(cashier, id).await?;
    let answer = match transaction.first_answer {
        FirstAnswer::Accepted => cashier.archive.answer(id).await.map_err(|fault| {
            tracing::error!(%fault, transaction = %id, "reading a stored answer failed");
            crate::ledger::storage_unavailable()
        })?,
        FirstAnswer::Open | FirstAnswer::Declined | FirstAnswer::NeverSent | FirstAnswer::Unknown => None,
    };
    Ok(DepositOutcome { transaction, answer: answer.unwrap_or_default(), provider_time })
}

async fn durable(cashier: &Cashier, id: TransactionId) -> Result<Transaction, Refusal> {
    let ticket = cashier.ledger.read(|books| (books.transaction(id), books.touched(id)))?;
    let transaction = ticket.durable().await?.into_inner();
    transaction.ok_or_else(missing)
}
