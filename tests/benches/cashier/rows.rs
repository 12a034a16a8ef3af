//! Rows as a card deposit through a hosted page leaves them, with texts of realistic length.

use cashier_core::change::{Body, Change, Counters, OrderDetails};
use cashier_core::facts::{Facts, ProviderFact, Recorded};
use cashier_core::ids::{
    ConfigId, CustomerId, EventId, Login, ManagerId, NoticeId, OperationId, Reference, Seq, ServerName, TransactionId,
};
use cashier_core::money::{Currency, Money};
use cashier_core::notice::{ProviderEvent, StatedAmount, Update};
use cashier_core::operation::BalanceOperation;
use cashier_core::reason::Reason;
use cashier_core::refs::{ProviderRef, Refs};
use cashier_core::status::{
    OperationCmd, OperationReason, OperationStatus, ProcessingStatus, ProviderStatus, SignatureStatus, Source,
    TransactionStatus, TransactionType,
};
use cashier_core::time::UnixTime;
use cashier_core::transaction::{FirstAnswer, KeySpace, NextAction, Transaction};

/// When the rows were made.
pub(crate) const NOW: UnixTime = UnixTime(1_779_270_000);
/// Customers that share the rows: ten transactions each in a million.
const CUSTOMERS: u64 = 100_000;

/// What the first commit of a deposit writes.
pub(crate) fn opened(id: u64) -> (Vec<Change>, Vec<Body>) {
    let transaction = Transaction {
        status: TransactionStatus::Created,
        provider_payment_id: Box::default(),
        refs: Refs::default(),
        facts: Facts::default(),
        first_answer: FirstAnswer::Open,
        next_action: NextAction::None,
        processed_time: UnixTime::UNSET,
        version: 1,
        ..deposit(id)
    };
    let details = OrderDetails {
        notify_url: "https://pay.ion4.example/cashier/webhook/stripe/1".into(),
        success_url: "https://ion4.example/deposit/done".into(),
        failure_url: "https://ion4.example/deposit/failed".into(),
        locale: "de-DE".into(),
        ip: "192.0.2.77".into(),
        nonce: u128::from(id) << 64,
        terms_version: 1,
    };
    let body = Body::Order { transaction_id: transaction.id, details };
    (vec![Change::Transaction(Box::new(transaction))], vec![body])
}

/// What the second commit of a deposit writes.
pub(crate) fn ended(id: u64) -> (Vec<Change>, Vec<Body>) {
    let mut transaction = deposit(id);
    transaction.status = TransactionStatus::PendingPayment;
    transaction.facts.provider.truncate(1);
    transaction.processed_time = UnixTime::UNSET;
    let answer = Body::Answer {
        transaction_id: transaction.id,
        redirect_url: format!("https://checkout.stripe.com/c/pay/{}", session(id)).into(),
        instructions_json: Box::default(),
    };
    (vec![Change::Transaction(Box::new(transaction))], vec![answer])
}

/// A credited deposit.
pub(crate) fn deposit(id: u64) -> Transaction {
    let usd = usd();
    let at = UnixTime(NOW.0 + id.cast_signed());
    let recorded = |seq, fact| Recorded { seq: Seq(seq), at, fact };
    let payment: Box<str> = payment(id).into();
    Transaction {
        id: TransactionId(id),
        customer_id: CustomerId(id % CUSTOMERS + 1),
        login: Login(id % CUSTOMERS + 2_000_001),
        kind: TransactionType::Deposit,
        source: Source::Provider,
        provider: "stripe".into(),
        method: "card".into(),
        requested_method: "card".into(),
        provider_payment_id: session(id).into(),
        amount: Money::new(25_000, usd),
        account_currency: usd,
        conversion: None,
        status: TransactionStatus::Credited,
        reason: Reason::default(),
        idempotency_key: format!("0198c0f3-5f0e-7d4b-9b0f-{id:012x}").into(),
        has_texts: false,
        stored_bytes: 0,
        approved_by: ManagerId(0),
        approved_time: UnixTime::UNSET,
        processed_by: ManagerId(0),
        processed_time: at,
        reject_reason: Box::default(),
        created_time: at,
        updated_time: at,
        config_id: ConfigId(1),
        brand: "ion4".into(),
        country: "DE".into(),
        sandbox: true,
        server: ServerName::default(),
        reference: Reference::from_random(u128::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)),
        key_space: KeySpace::Customer,
        expires_time: UnixTime(at.0 + 86_400),
        refs: [ProviderRef::new("checkout_session", &session(id)), ProviderRef::new("payment_intent", &payment)]
            .into_iter()
            .collect(),
        facts: Facts {
            provider: vec![
                recorded(id, ProviderFact::Accepted),
                recorded(id, ProviderFact::Confirmed { payment, minor: 25_000 }),
            ],
            persons: Vec::new(),
        },
        first_answer: FirstAnswer::Accepted,
        next_action: NextAction::Redirect,
        refused_seq: Seq(0),
        query_wanted: Seq(0),
        version: 4,
    }
}

/// The operation that credited [`deposit`].
pub(crate) fn credit(id: u64) -> BalanceOperation {
    let deposit = deposit(id);
    BalanceOperation {
        id: OperationId(id),
        transaction_id: deposit.id,
        ordinal: 1,
        login: deposit.login,
        trade_order: 9_000_000 + id,
        request_order: 0,
        cmd: OperationCmd::BalanceIn,
        amount: deposit.amount,
        reason: OperationReason::Deposit,
        status: OperationStatus::Posted,
        failure_reason: Box::default(),
        created_time: deposit.created_time,
        updated_time: deposit.updated_time,
    }
}

/// The event that confirmed [`deposit`].
pub(crate) fn confirmation(id: u64) -> ProviderEvent {
    let deposit = deposit(id);
    ProviderEvent {
        id: EventId(id),
        notice_id: NoticeId(id),
        config_id: deposit.config_id,
        provider: deposit.provider,
        brand: deposit.brand,
        event_id: event_id(id).into(),
        transaction_id: deposit.id,
        provider_payment_id: deposit.provider_payment_id,
        signature_status: SignatureStatus::Valid,
        processing_status: ProcessingStatus::Processed,
        failure_reason: Box::default(),
        update: Some(Update {
            event_id: event_id(id).into(),
            reference: Some(deposit.reference),
            refs: deposit.refs.iter().cloned().collect(),
            status: ProviderStatus::Confirmed,
            payment_id: payment(id).into(),
            amount: Some(StatedAmount::Exact(deposit.amount)),
            refund: None,
            dispute: None,
            raw_status: "checkout.session.completed/paid".into(),
            reason: Box::default(),
            sandbox: Some(true),
            mode_conflict: false,
            advance: false,
        }),
        module_hash: "3f".repeat(32).into(),
        also_verified_by: Box::default(),
        created_time: deposit.created_time,
        processed_time: deposit.created_time,
    }
}

/// 28 characters, as Stripe's are.
pub(crate) fn event_id(id: u64) -> String {
    format!("evt_1PqX8sLkdIwHu7ix{id:08x}")
}

/// 66 characters, as Stripe's are.
fn session(id: u64) -> String {
    format!("cs_test_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V2w3X4y5{id:08x}")
}

/// 27 characters, as Stripe's are.
fn payment(id: u64) -> String {
    format!("pi_3PqX8sLkdIwHu7ix{id:08x}")
}

/// Counters of books in which every kind of row has reached this number.
pub(crate) fn counters(last: u64) -> Counters {
    Counters { seq: last, transaction: last, operation: last, event: last, notice: last, ..Counters::default() }
}

fn usd() -> Currency {
    Currency::from_code("USD").unwrap_or_else(|| unreachable!("USD is a currency"))
}
