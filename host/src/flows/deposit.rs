//! A deposit: session → account facts → idempotency, eligibility, the module's check → durable → provider → durable → answer. A client that
//! disconnects cancels nothing; requests with the same key wait for the same create call.

mod opening;

use std::sync::Arc;
use std::time::Duration;

use cashier_core::account::AccountFacts;
use cashier_core::aggregate::{Aggregate, CreateEnding};
use cashier_core::books::StoredBy;
use cashier_core::change::Body;
use cashier_core::deposit::{self, DepositRequest};
use cashier_core::duty::ProviderQuery;
use cashier_core::eligibility::{self, ConfigCandidate, Eligible, Wanted};
use cashier_core::ids::TransactionId;
use cashier_core::inbox::{self, AppliedAnswer, CreateAnswerStated};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::{Actor, CustomerSession};
use cashier_core::texts::Texts;
use cashier_core::transaction::{CustomerAnswer, NextAction, Transaction};
use tokio::sync::oneshot;

pub(super) use self::opening::order_of;
use self::opening::{Opened, Opening, bound, unavailable};
use super::{Cashier, RequestContext, conversion, provider_query, settle, transactions};
use crate::ledger::Estimate;
use crate::ports::{Called, CreateAnswer, Durable, Gateway, Order, StoredAnswer};

/// How often a deposit starts over because the config it chose was edited meanwhile.
const STALE_CONFIG_RETRIES: usize = 2;

/// What the customer is answered.
#[derive(Debug, Clone)]
pub struct DepositOutcome {
    pub transaction: Transaction,
    pub texts: Arc<Texts>,
    pub answer: StoredAnswer,
    /// Time spent waiting for the provider; not the cashier's own.
    pub provider_time: Duration,
}

impl DepositOutcome {
    /// What the customer does next, or the published "no" that goes with the transaction.
    pub fn next_action(&self) -> Result<NextAction, Refusal> {
        match self.transaction.answer() {
            CustomerAnswer::Next(action) => Ok(action),
            CustomerAnswer::Declined => {
                Err(Refusal::new(RefusalCode::ProviderDeclined, "the payment provider declined the payment"))
            }
            CustomerAnswer::NeverSent => Err(unavailable()),
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
    let (earlier, taken) =
        cashier.ledger.peek(|books| (bound(books, &request), books.customer_use(request.customer_id)))?;
    if let Some(earlier) = earlier {
        return repeat(cashier, &request, earlier).await;
    }
    if let Some(refusal) = &request.refused_if_new {
        return Err(refusal.clone());
    }
    cashier.check_ready(&account)?;
    // Decided when the transaction is opened; here it spares the module a call.
    let (stores, stored) = (request.stored_bytes(), taken.stored(StoredBy::Deposits, cashier.clock.now()));
    cashier.rules.customer_limits.check(Some(taken.open_deposits), stored, stores)?;
    let _admitted = cashier.ledger.admit(Estimate::deposit(request.metadata_json.len() as u64))?;
    let (customer, limits) = (request.customer_id, cashier.rules.customer_limits);
    let made = begin(cashier, account, request, context).await?;
    limits.note(customer, stored, stores);
    Ok(made)
}

async fn begin(
    cashier: &Arc<Cashier>,
    account: AccountFacts,
    request: DepositRequest,
    context: RequestContext,
) -> Result<DepositOutcome, Refusal> {
    for _ in 0..=STALE_CONFIG_RETRIES {
        let chosen = choose(cashier, &account, &request);
        let conversion = conversion::frozen(cashier, request.amount, &account, chosen.as_ref().err()).await?;
        let (eligible, gateway) = chosen?;
        let opening = Opening::new(cashier, &account, &request, (eligible, conversion), &*gateway, &context);
        opening.check(&*gateway).await?;
        let durable = opening.open(cashier, &context.request_id)?.durable().await?;
        match durable.get() {
            Opened::StaleConfig => {}
            Opened::BeyondLimit(refusal) => return Err(refusal.clone()),
            Opened::Earlier(id) => return repeat(cashier, &request, *id).await,
            // The flight is held by `durable`, until the end of the create call is durable.
            Opened::New { opened, flight: _ } => {
                let texts = Arc::new(request.texts());
                let order = Arc::new(order_of(&opened.transaction, &texts, opening.details));
                return create(cashier, durable.with(|_| order), texts, &*gateway, &context.request_id).await;
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
    deposit::check_customer(account)?;
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
    cashier.rules.return_hosts.check(&account.group.brand, request)?;
    let gateway = snapshot.config(eligible.config_id()).and_then(|served| served.gateway.as_ref().ok());
    match gateway {
        Some(gateway) => Ok((eligible, Arc::clone(gateway))),
        None => Err(Refusal::new(RefusalCode::MethodNotAvailable, "this payment method is not available")),
    }
}

async fn create(
    cashier: &Arc<Cashier>,
    order: Durable<Arc<Order>>,
    texts: Arc<Texts>,
    gateway: &dyn Gateway,
    request_id: &str,
) -> Result<DepositOutcome, Refusal> {
    let id = order.get().transaction_id;
    let called = gateway.create(order).await;
    let answer = &called.answer;
    match &answer.ending {
        CreateEnding::Accepted(_) => {}
        CreateEnding::Declined { .. } | CreateEnding::NeverSent { .. } | CreateEnding::Unknown => {
            tracing::warn!(transaction = %id, ending = ?answer.ending, unreadable = &*answer.unreadable, "payment creation failed");
        }
    }
    let unreadable = !answer.unreadable.is_empty();
    let provider_time = answer.provider_time;
    let mut stored =
        StoredAnswer { redirect_url: answer.redirect_url.clone(), instructions_json: answer.instructions_json.clone() };
    let ended = end_create(cashier, id, gateway, called, request_id).await?;
    if unreadable {
        provider_query::start(cashier, id, ProviderQuery::Status);
    }
    let transaction = if ended.operations.is_empty() {
        ended.transaction
    } else {
        settle::within_patience(cashier, id).await;
        durable(cashier, id).await?
    };
    if !matches!(transaction.answer(), CustomerAnswer::Next(NextAction::Redirect | NextAction::Instructions)) {
        stored = StoredAnswer::default();
    }
    Ok(DepositOutcome { transaction, texts, answer: stored, provider_time })
}

/// Records how the create call ended and what its answer states, and waits until that is durable.
pub(super) async fn end_create(
    cashier: &Arc<Cashier>,
    id: TransactionId,
    gateway: &dyn Gateway,
    called: Called<CreateAnswer>,
    request_id: &str,
) -> Result<Aggregate, Refusal> {
    let receiver = cashier.receiver(gateway);
    let stamp = cashier.stamp(Actor::Provider(receiver.config_id), request_id);
    let Called { answer, calls } = called;
    let CreateAnswer { ending, update, refs, redirect_url, instructions_json, unreadable: _, provider_time: _ } =
        answer;
    let stated = CreateAnswerStated { ending: &ending, update: update.as_ref(), refs: &refs };
    let ticket = cashier.ledger.decide(&stamp, |draft| {
        let recorded = inbox::end_create(draft, &receiver, id, &stated)?;
        draft.store_calls(id, calls);
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
    let answer = match transaction.answer() {
        CustomerAnswer::Next(NextAction::Redirect | NextAction::Instructions) => {
            cashier.archive.answer(id).await.map_err(|fault| {
                tracing::error!(%fault, transaction = %id, "reading a stored answer failed");
                crate::ledger::storage_unavailable()
            })?
        }
        CustomerAnswer::Next(NextAction::None | NextAction::Wait)
        | CustomerAnswer::Declined
        | CustomerAnswer::NeverSent => None,
    };
    let texts = transactions::texts(cashier, &transaction).await?;
    Ok(DepositOutcome { transaction, texts, answer: answer.unwrap_or_default(), provider_time })
}

async fn durable(cashier: &Cashier, id: TransactionId) -> Result<Transaction, Refusal> {
    let ticket = cashier.ledger.read(|books| (books.transaction(id), books.touched(id)))?;
    let transaction = ticket.durable().await?.into_inner();
    // One that was found and is gone was taken back.
    transaction.ok_or_else(crate::ledger::storage_unavailable)
}
