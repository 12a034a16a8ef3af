//! Rows that the tests start from; each test changes the fields it is about.

use std::sync::Arc;

use cashier_core::account::{Account, AccountFacts, AccountMode, Customer, Group};
use cashier_core::aggregate::{Aggregate, DecisionContext};
use cashier_core::books::{Books, ListPage};
use cashier_core::change::{Body, Change, Commit, Counters};
use cashier_core::customer_override::{CustomerOverride, OverrideMode};
use cashier_core::facts::Facts;
use cashier_core::filter::{Filter, TransactionField};
use cashier_core::ids::*;
use cashier_core::lookups::Lookups;
use cashier_core::money::{Currency, Limit, Money};
use cashier_core::notice::{ProviderEvent, ReceivingConfig, StatedAmount, Update};
use cashier_core::provider_config::{ProviderConfig, Secret};
use cashier_core::reason::Reason;
use cashier_core::refs::{ProviderRef, Refs};
use cashier_core::session::Actor;
use cashier_core::status::*;
use cashier_core::time::UnixTime;
use cashier_core::transaction::{FirstAnswer, KeySpace, NextAction, Transaction};

pub(crate) const NOW: UnixTime = UnixTime(1_779_270_000);

pub(crate) fn currency(code: &str) -> Currency {
    Currency::from_code(code).unwrap()
}

pub(crate) fn usd(minor: i64) -> Money {
    Money::new(minor, currency("USD"))
}

pub(crate) fn limit(text: &str) -> Limit {
    Limit::parse(text).unwrap()
}

/// Customer 5 of brand ion4 from DE with a real USD account.
pub(crate) fn account() -> AccountFacts {
    AccountFacts {
        customer: Customer {
            customer_id: CustomerId(5),
            country: "DE".into(),
            brand: "ion4".into(),
            status: 0,
            deposit_allowed: true,
            withdrawal_allowed: true,
        },
        account: Account {
            login: Login(2_000_009),
            customer_id: CustomerId(5),
            group: "real-usd".into(),
            enabled: true,
            balance: usd(0),
        },
        group: Group {
            group: "real-usd".into(),
            brand: "ion4".into(),
            currency: currency("USD"),
            account_mode: AccountMode::Real,
            enabled: true,
        },
        server: ServerName::default(),
        age_seconds: 0,
    }
}

/// Stripe for brand ion4, any method, country and currency, without limits.
pub(crate) fn config(id: u64) -> ProviderConfig {
    ProviderConfig {
        id: ConfigId(id),
        provider: "stripe".into(),
        brand: "ion4".into(),
        method: "".into(),
        country: "".into(),
        currency: "".into(),
        merchant_id: "acct_1".into(),
        public_key: "pk".into(),
        secret_key: Secret::new("sk"),
        webhook_secret: Secret::new("whsec"),
        replaced_webhook_secrets: Vec::new(),
        settings_json: "{}".into(),
        config_json: Secret::default(),
        min_amount: Limit::NONE,
        max_amount: Limit::NONE,
        sandbox: false,
        enabled: true,
        sort_index: 0,
        created_time: NOW,
        updated_time: NOW,
        terms_version: 1,
        version: 1,
        unapproved: Vec::new(),
        deleted_time: UnixTime::UNSET,
        account_marks: Vec::new(),
        unreadable: Vec::new(),
    }
}

/// An allow for customer 5 at every Stripe config of brand ion4.
pub(crate) fn allow(id: u64) -> CustomerOverride {
    CustomerOverride {
        id: OverrideId(id),
        customer_id: CustomerId(5),
        brand: "ion4".into(),
        provider_config_id: ConfigId(0),
        provider: "stripe".into(),
        method: "".into(),
        mode: OverrideMode::Allow,
        min_amount: Limit::NONE,
        max_amount: Limit::NONE,
        enabled: true,
        reason: "VIP_ALLOW".into(),
        comment: "".into(),
        expires_time: UnixTime::UNSET,
        created_time: NOW,
        updated_time: NOW,
    }
}

pub(crate) fn deny(id: u64) -> CustomerOverride {
    CustomerOverride { mode: OverrideMode::Deny, ..allow(id) }
}

pub(crate) fn reference(id: u64) -> Reference {
    Reference::from_random(u128::from(id))
}

/// A card deposit of 100 USD through config 1, without facts.
pub(crate) fn deposit(id: u64) -> Transaction {
    Transaction {
        id: TransactionId(id),
        customer_id: CustomerId(5),
        login: Login(2_000_009),
        kind: TransactionType::Deposit,
        source: Source::Provider,
        provider: "stripe".into(),
        method: "card".into(),
        requested_method: "".into(),
        provider_payment_id: "".into(),
        amount: usd(10_000),
        account_currency: currency("USD"),
        conversion: None,
        status: TransactionStatus::Created,
        reason: Reason::default(),
        idempotency_key: format!("key-{id}").into(),
        has_texts: false,
        stored_bytes: 0,
        approved_by: ManagerId(0),
        approved_time: UnixTime::UNSET,
        processed_by: ManagerId(0),
        processed_time: UnixTime::UNSET,
        reject_reason: "".into(),
        created_time: NOW,
        updated_time: NOW,
        config_id: ConfigId(1),
        brand: "ion4".into(),
        country: "DE".into(),
        sandbox: false,
        server: ServerName::default(),
        reference: reference(id),
        key_space: KeySpace::Customer,
        expires_time: NOW.plus(86_400),
        refs: Refs::default(),
        facts: Facts::default(),
        first_answer: FirstAnswer::Accepted,
        next_action: NextAction::Redirect,
        refused_seq: Seq(0),
        query_wanted: Seq(0),
        version: 1,
    }
}

/// A deposit or withdrawal of 100 USD that waits for a person.
pub(crate) fn manual(id: u64, kind: TransactionType) -> Transaction {
    Transaction {
        kind,
        source: Source::Manual,
        provider: "manual".into(),
        status: TransactionStatus::ManualReview,
        config_id: ConfigId(0),
        expires_time: UnixTime::UNSET,
        ..deposit(id)
    }
}

pub(crate) fn aggregate(transaction: Transaction) -> Aggregate {
    Aggregate { transaction, operations: Vec::new() }
}

/// The gateway of config 1.
pub(crate) fn receiver() -> ReceivingConfig {
    ReceivingConfig {
        config_id: ConfigId(1),
        provider: "stripe".into(),
        brand: "ion4".into(),
        sandbox: false,
        primary_ref_kind: "payment_intent".into(),
        module_hash: "00".into(),
        merchant_account: Arc::new([ConfigId(1)]),
    }
}

/// A statement about [`deposit`], with the ordered amount.
pub(crate) fn update(status: ProviderStatus) -> Update {
    Update {
        event_id: "evt_1".into(),
        reference: Some(reference(15)),
        refs: vec![ProviderRef::new("payment_intent", "pi_123")],
        status,
        payment_id: "pi_123".into(),
        amount: Some(StatedAmount::Exact(usd(10_000))),
        refund: None,
        dispute: None,
        raw_status: "raw".into(),
        reason: "".into(),
        sandbox: None,
        mode_conflict: false,
        advance: false,
    }
}

pub(crate) fn event(id: u64, processing_status: ProcessingStatus) -> ProviderEvent {
    ProviderEvent {
        id: EventId(id),
        notice_id: NoticeId(id),
        config_id: ConfigId(1),
        provider: "stripe".into(),
        brand: "ion4".into(),
        event_id: format!("evt_{id}").into(),
        transaction_id: TransactionId(0),
        provider_payment_id: "pi_123".into(),
        signature_status: SignatureStatus::Valid,
        processing_status,
        failure_reason: "".into(),
        update: Some(update(ProviderStatus::Confirmed)),
        module_hash: "00".into(),
        also_verified_by: Box::default(),
        created_time: NOW,
        processed_time: UnixTime::UNSET,
    }
}

/// The context of commit `seq`, which may plan operation `seq`.
pub(crate) fn at(seq: u64) -> DecisionContext {
    DecisionContext { seq: Seq(seq), now: NOW.plus(seq as i64), next_operation: OperationId(seq) }
}

pub(crate) fn commit(seq: u64, changes: Vec<Change>) -> Commit {
    Commit {
        seq: Seq(seq),
        at: NOW.plus(seq as i64),
        actor: Actor::System,
        request_id: "r".into(),
        changes,
        bodies: Vec::new(),
        counters: Counters { seq, ..Counters::default() },
        lookups: Lookups::default(),
    }
}

/// The aggregate after the changes.
pub(crate) fn applied(aggregate: &Aggregate, changes: &[Change]) -> Aggregate {
    let mut next = aggregate.clone();
    for change in changes {
        match change {
            Change::Transaction(row) => next.transaction = (**row).clone(),
            Change::Operation(row) => match next.operations.iter_mut().find(|known| known.id == row.id) {
                Some(known) => *known = (**row).clone(),
                None => next.operations.push((**row).clone()),
            },
            Change::Event(_)
            | Change::Config(_)
            | Change::ConfigDeleted(_)
            | Change::Override(_)
            | Change::Approval(_) => {}
        }
    }
    next
}

/// The stored body of a notice, of this length.
pub(crate) fn notice_body(id: NoticeId, bytes: usize) -> Body {
    Body::Notice {
        id,
        received_time: NOW,
        method: "POST".into(),
        path: "/".into(),
        raw_query: "".into(),
        headers_json: "[]".into(),
        sha256: [0; 32],
        body: vec![0; bytes].into(),
    }
}

/// What a list shows.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) rows: Vec<Transaction>,
    pub(crate) count: u64,
    pub(crate) newest: Seq,
}

impl Answer {
    /// The rows of a page, all taken at once.
    pub(crate) fn of(books: &Books, filter: &Filter<TransactionField>, mut page: ListPage) -> Self {
        let mut rows = Vec::new();
        while !page.is_finished() {
            rows.extend(books.take_rows(filter, &mut page));
        }
        Self { rows, count: page.count(), newest: page.newest() }
    }
}
