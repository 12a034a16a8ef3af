//! A deposit before its transaction exists: the order is fixed, its module is asked whether it could be paid, and one
//! decision opens the transaction.

use std::sync::Arc;

use cashier_core::account::AccountFacts;
use cashier_core::aggregate::Aggregate;
use cashier_core::books::{Books, StoredBy};
use cashier_core::change::{Body, Change, OrderDetails};
use cashier_core::conversion::Conversion;
use cashier_core::deposit::{self, DepositRequest};
use cashier_core::eligibility::Eligible;
use cashier_core::facts::PersonFact;
use cashier_core::ids::{Reference, TransactionId};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::Actor;
use cashier_core::texts::Texts;
use cashier_core::transaction::{Fresh, KeySpace, Transaction};

use crate::flows::single_flight::Flight;
use crate::flows::{Cashier, RequestContext, configure};
use crate::ledger::Ticket;
use crate::ports::{Gateway, Order, OrderCheck};

/// What came of opening a transaction.
pub(super) enum Opened {
    New {
        opened: Box<Aggregate>,
        #[expect(dead_code, reason = "held until the create call has ended, so that requests with the same key wait")]
        flight: Option<Flight>,
    },
    Earlier(TransactionId),
    StaleConfig,
    /// The customer has too much open or stored.
    BeyondLimit(Refusal),
}

/// A deposit that is eligible, before its transaction exists. Reference, nonce, time and terms are fixed here: the order
/// that is checked, the one that is stored and the one that is sent are the same.
pub(super) struct Opening<'a> {
    request: &'a DepositRequest,
    eligible: Eligible,
    /// As it will be stored, but for its number.
    proposed: Transaction,
    pub(super) details: OrderDetails,
}

impl<'a> Opening<'a> {
    pub(super) fn new(
        cashier: &Cashier,
        account: &AccountFacts,
        request: &'a DepositRequest,
        (eligible, conversion): (Eligible, Option<Box<Conversion>>),
        gateway: &dyn Gateway,
        context: &RequestContext,
    ) -> Self {
        let reference = Reference::from_random(cashier.entropy.bits());
        let fresh = Fresh { id: TransactionId(0), reference, now: cashier.clock.now() };
        let opened = deposit::open(request, account, &eligible, gateway.expiry_seconds(), fresh);
        let mut proposed = Transaction { conversion, ..opened };
        if !cashier.clock.is_plausible() {
            proposed.postpone_expiry();
        }
        let details = details(cashier, request, &eligible, context);
        Self { request, eligible, proposed, details }
    }

    /// Asks the module whether the order could be paid at all. What could not leaves no trace but a log line.
    pub(super) async fn check(&self, gateway: &dyn Gateway) -> Result<(), Refusal> {
        let checked = gateway.check_order(&order_of(&self.proposed, &self.request.texts(), self.details.clone())).await;
        let (config, provider) = (self.eligible.config_id(), &*self.request.provider);
        match checked {
            OrderCheck::Passed => Ok(()),
            OrderCheck::Refused { field, code, message } => {
                let reason = &*code;
                tracing::warn!(%config, provider, reason, field = &*field, detail = &*message, "order was refused by its module");
                let named = if field.is_empty() { message.into() } else { format!("{field}: {message}") };
                Err(Refusal::invalid(named))
            }
            OrderCheck::NoAnswer(fault) => {
                let reason = RefusalCode::ProviderUnavailable.text();
                tracing::warn!(%config, provider, reason, %fault, "order could not be checked by its module: never sent");
                Err(unavailable())
            }
        }
    }

    /// Opens the transaction, unless its key was bound or its config was edited since it was chosen.
    pub(super) fn open(&self, cashier: &Cashier, request_id: &str) -> Result<Ticket<Opened>, Refusal> {
        let Self { request, eligible, proposed, details } = self;
        let stamp = cashier.stamp(Actor::Customer(request.customer_id), request_id);
        cashier.ledger.decide(&stamp, |draft| {
            if let Some(earlier) =
                bound(draft.books_by_key(request.customer_id, KeySpace::Customer, &request.idempotency_key), request)
            {
                return Opened::Earlier(earlier);
            }
            let taken = draft.customer_use(request.customer_id);
            let (limits, stores) = (cashier.rules.customer_limits, request.stored_bytes());
            let stored = taken.stored(StoredBy::Deposits, draft.now());
            if let Err(refusal) = limits.check(Some(taken.open_deposits), stored, stores) {
                return Opened::BeyondLimit(refusal);
            }
            let config = cashier.snapshot().config(eligible.config_id()).map(|served| Arc::clone(&served.config));
            let current = config.as_ref().map(|config| config.version);
            // A reference that exists already is drawn again, with the rest.
            if current != Some(eligible.version()) || draft.by_reference(&proposed.reference).is_some() {
                return Opened::StaleConfig;
            }
            let mut transaction = Transaction { id: draft.next_transaction(), ..proposed.clone() };
            if config.is_some_and(|config| configure::reversals_wait(&config)) {
                let at = draft.context();
                transaction.facts.record_person(at.seq, at.now, PersonFact::ReversalsWait);
            }
            let flight = cashier.creating.begin(transaction.id);
            draft.store(Body::Order { transaction_id: transaction.id, details: OrderDetails::clone(details) });
            draft.store_texts(transaction.id, request.texts());
            draft.add([Change::Transaction(Box::new(transaction.clone()))]);
            Opened::New { opened: Box::new(Aggregate { transaction, operations: Vec::new() }), flight }
        })
    }
}

/// The transaction that the request's key is bound to.
pub(super) fn bound(books: &Books, request: &DepositRequest) -> Option<TransactionId> {
    let key = &*request.idempotency_key;
    (!key.is_empty()).then(|| books.by_key(request.customer_id, KeySpace::Customer, key)).flatten()
}

fn details(cashier: &Cashier, request: &DepositRequest, eligible: &Eligible, context: &RequestContext) -> OrderDetails {
    let config = eligible.config_id();
    OrderDetails {
        // `open` finds the config at the version it was chosen at, and so under these terms.
        terms_version: cashier.snapshot().config(config).map_or(0, |served| served.config.terms_version),
        notify_url: cashier.rules.notify_url(&request.provider, config),
        success_url: request.success_url.clone(),
        failure_url: request.failure_url.clone(),
        locale: context.locale.clone(),
        ip: context.ip.clone(),
        nonce: cashier.entropy.bits(),
    }
}

/// The order as it is sent to the provider: the same from the same transaction and details, byte for byte.
pub(in crate::flows) fn order_of(transaction: &Transaction, texts: &Texts, details: OrderDetails) -> Order {
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
        comment: texts.comment.clone(),
        metadata_json: texts.metadata_json.clone(),
        locale: details.locale,
        ip: details.ip,
        created_time: transaction.created_time,
        nonce: details.nonce,
    }
}

/// 503 for an order that was never sent.
pub(super) fn unavailable() -> Refusal {
    Refusal::new(RefusalCode::ProviderUnavailable, "the payment provider is unavailable")
}
