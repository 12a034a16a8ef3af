//! A typical deposit and the rows that belong to it, for tests that need any row.

use cashier_core::change::Body;
use cashier_core::facts::{Facts, ProviderFact, Recorded};
use cashier_core::ids::*;
use cashier_core::money::{Currency, Money};
use cashier_core::notice::{ProviderEvent, StatedAmount, Update};
use cashier_core::operation::BalanceOperation;
use cashier_core::reason::Reason;
use cashier_core::refs::ProviderRef;
use cashier_core::status::*;
use cashier_core::time::UnixTime;
use cashier_core::transaction::{FirstAnswer, KeySpace, NextAction, Transaction};

/// A paid card deposit, as most rows are.
pub(super) fn deposit(id: u64) -> Transaction {
    let usd = Currency::from_code("USD").unwrap();
    let at = UnixTime(1_779_270_000 + id.cast_signed());
    let payment: Box<str> = format!("pi_3PqX{id:016}").into();
    let recorded = |seq, fact| Recorded { seq: Seq(seq), at, fact };
    Transaction {
        id: TransactionId(id),
        customer_id: CustomerId(id % 100_000 + 1),
        login: Login(id % 150_000 + 1_000_000),
        kind: TransactionType::Deposit,
        source: Source::Provider,
        provider: "stripe".into(),
        method: "card".into(),
        requested_method: "card".into(),
        provider_payment_id: payment.clone(),
        amount: Money::new(25_000, usd),
        account_currency: usd,
        conversion: None,
        status: TransactionStatus::Credited,
        reason: Reason::default(),
        idempotency_key: format!("dep-5-stripe-{id}").into(),
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
        sandbox: false,
        server: ServerName::default(),
        reference: Reference::from_random(u128::from(id) * 0x9e37_79b9_7f4a_7c15),
        key_space: KeySpace::Customer,
        expires_time: at.plus(86_400),
        refs: [
            ProviderRef::new("checkout_session", &format!("cs_live_a1B2{id:048}")),
            ProviderRef::new("payment_intent", &payment),
        ]
        .into_iter()
        .collect(),
        facts: Facts {
            provider: vec![
                recorded(id * 3, ProviderFact::Accepted),
                recorded(id * 3 + 1, ProviderFact::Confirmed { payment, minor: 25_000 }),
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
pub(super) fn credit(id: u64) -> BalanceOperation {
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

/// The verified event that confirmed [`deposit`], from a notice of the same id.
pub(super) fn confirmation(id: u64) -> ProviderEvent {
    let deposit = deposit(id);
    ProviderEvent {
        id: EventId(id),
        notice_id: NoticeId(id),
        config_id: deposit.config_id,
        provider: deposit.provider,
        brand: deposit.brand,
        event_id: format!("evt_1PqX{id:016}").into(),
        transaction_id: deposit.id,
        provider_payment_id: deposit.provider_payment_id.clone(),
        signature_status: SignatureStatus::Valid,
        processing_status: ProcessingStatus::Processed,
        failure_reason: Box::default(),
        update: Some(Update {
            event_id: format!("evt_1PqX{id:016}").into(),
            reference: Some(deposit.reference),
            refs: deposit.refs.iter().cloned().collect(),
            status: ProviderStatus::Confirmed,
            payment_id: deposit.provider_payment_id,
            amount: Some(StatedAmount::Exact(deposit.amount)),
            refund: None,
            dispute: None,
            raw_status: "checkout.session.completed".into(),
            reason: Box::default(),
            sandbox: Some(false),
            mode_conflict: false,
            advance: false,
        }),
        module_hash: "3f".repeat(32).into(),
        also_verified_by: Box::new([ConfigId(7), ConfigId(9)]),
        created_time: deposit.created_time,
        processed_time: deposit.created_time,
    }
}

pub(super) fn notice(id: u64, body: &[u8]) -> Body {
    Body::Notice {
        id: NoticeId(id),
        received_time: UnixTime(1_779_270_000),
        method: "POST".into(),
        path: "/cashier/webhook/stripe/1".into(),
        raw_query: Box::default(),
        headers_json: r#"[["content-type","application/json"]]"#.into(),
        sha256: [7; 32],
        body: body.into(),
    }
}
