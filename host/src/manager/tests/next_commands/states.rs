//! Payments in every state that has a reason, made by what makes it.

use cashier_core::aggregate::{Aggregate, DecisionContext};
use cashier_core::change::{Change, Stamp};
use cashier_core::facts::{MismatchKind, PersonFact, ProviderFact, ReviewHold};
use cashier_core::ids::{OperationId, Reference, TransactionId};
use cashier_core::money::{Currency, Money};
use cashier_core::notice::{DisputeStatement, Reach, RefundStatement, StatedAmount, Update};
use cashier_core::operation::{OperationKey, PostingFlaw, PostingOutcome};
use cashier_core::reason::ReasonCode as R;
use cashier_core::reconcile::FoundPosting;
use cashier_core::session::Actor;
use cashier_core::status::{OperationCmd, OperationReason, ProviderStatus as P, TransactionStatus};

use super::super::manual::entry;
use super::*;
use crate::ports::QueryAnswer;
use crate::test_cashier::{AMOUNT, OnCreate, OnPost, OnRefund, lock, paid, update};

fn about(event: &str, status: P, reference: &Reference) -> Update {
    Update { reference: Some(reference.clone()), ..update(event, status) }
}

fn paid_as(payment: &str, minor: i64, reference: &Reference) -> Update {
    let amount = Some(StatedAmount::Exact(usd(minor)));
    Update { payment_id: payment.into(), amount, ..paid(payment, reference) }
}

fn refunded(id: &str, status: P, minor: i64, reference: &Reference) -> Update {
    let amount = StatedAmount::Exact(usd(minor));
    let refund = RefundStatement { id: id.into(), amount, reach: Reach::Delta, requested: "".into() };
    Update { refund: Some(refund), ..about(&format!("{id} {}", status.number()), status, reference) }
}

fn disputed(id: &str, status: P, reference: &Reference) -> Update {
    let amount = (status == P::Chargeback).then(|| StatedAmount::Exact(usd(AMOUNT)));
    Update { dispute: Some(DisputeStatement { id: id.into(), amount }), ..about(id, status, reference) }
}

impl ManagerApi {
    pub(super) async fn stated(&self, updates: impl IntoIterator<Item = Update>) {
        for update in updates {
            self.env.notice(Some(1), vec![update]).await.unwrap();
        }
    }

    async fn change(&self, id: u64, decide: impl FnOnce(&Aggregate, DecisionContext) -> Vec<Change>) {
        let actor = Actor::System;
        let stamp = Stamp { actor, request_id: "test".into(), now: self.env.cashier.clock.now() };
        let decided = self.env.cashier.ledger.decide(&stamp, |draft| {
            let (known, at) = (draft.aggregate(TransactionId(id)).unwrap(), draft.context());
            draft.add(decide(&known, at));
        });
        decided.unwrap().durable().await.unwrap();
    }

    async fn established(&self, fact: ProviderFact) {
        self.change(1, |known, at| known.establish(fact, at)).await;
    }

    /// The test provider's words, which managers may see, hold a canary.
    pub(super) async fn ran(&self, name: &str, data: &str) -> Value {
        let (number, answer) = self.said(name, data).await;
        assert_eq!(number, 200, "{name} {data}: {answer}");
        answer
    }

    pub(super) async fn said(&self, name: &str, data: &str) -> (u16, Value) {
        let message = format!(r#"{{"command":"{name}","data":{data}}}"#);
        let (number, text) = self.send(&message, Some("manager#8")).await;
        let mut envelope: Value = serde_json::from_str(&text).unwrap();
        (number, envelope["data"].take())
    }
}

/// A payment in this state, with its id.
pub(super) async fn in_state(code: R) -> (ManagerApi, u64) {
    let mut api = ManagerApi::open().await;
    let creates = match code {
        R::ProviderUnavailable => vec![OnCreate::NeverSent],
        R::OutcomeUnknown => vec![OnCreate::AnswerLost; 64],
        _ => Vec::new(),
    };
    lock(&api.env.provider.next_creates).extend(creates);
    if code == R::ReversalWaits {
        let waits = r#"{"id":1,"settings_json":"{\"reversal\":\"review\"}"}"#;
        api.ran("MngUpdateCashierProviderConfig", waits).await;
    }
    let _ = api.env.deposit("k").await;
    let own = api.env.aggregate(TransactionId(1)).transaction.reference;
    let own = &own;
    let whole = || paid_as("pay_1", AMOUNT, own);
    let posts = |next: OnPost| lock(&api.env.trading.next_posts).push_back(next);
    let mismatch = |what| {
        ProviderFact::ReviewHold(ReviewHold::Mismatch {
            what,
            expected: "ion4".into(),
            stated: "other".into(),
            stated_minor: None,
            payment: "pay_1".into(),
        })
    };
    let mut id = 1;
    match code {
        R::None => api.stated([whole()]).await,
        R::Cancelled => api.stated([about("e", P::Cancelled, own)]).await,
        R::Expired => api.established(ProviderFact::Cancelled { reason: R::Expired }).await,
        R::Rejected => {
            api.stated([whole(), paid_as("pay_2", AMOUNT, own)]).await;
            api.ran(RESOLVE, r#"{"id":1,"action":"refuse","reason":"r"}"#).await;
        }
        R::ProviderDeclined => api.stated([about("e", P::Failed, own)]).await,
        R::ProviderUnavailable => {}
        R::Chargeback => api.stated([whole(), disputed("dp_1", P::Chargeback, own)]).await,
        R::PartlyRefunded => api.stated([whole(), refunded("re_1", P::Refunded, 3_000, own)]).await,
        R::CreditRefused => {
            posts(OnPost::RefuseFor(R::AccountDisabled));
            api.stated([whole()]).await;
        }
        R::OutcomeUnknown => api.established(ProviderFact::ReviewHold(ReviewHold::OutcomeUnknown)).await,
        R::AmountUnstated => {
            let unstated = Update { amount: None, ..whole() };
            let again = Update { event_id: "".into(), ..unstated.clone() };
            api.env.on_query(own, QueryAnswer::Stated(Box::new(again)));
            api.stated([unstated]).await;
        }
        R::AmountMismatch => api.stated([paid_as("pay_1", 15_000, own)]).await,
        R::CurrencyMismatch => {
            let euros = Money::new(AMOUNT, Currency::from_code("EUR").unwrap());
            api.stated([Update { amount: Some(StatedAmount::Exact(euros)), ..whole() }]).await;
        }
        R::BrandMismatch => api.established(mismatch(MismatchKind::Brand)).await,
        R::ModeMismatch => api.stated([Update { sandbox: Some(true), ..whole() }]).await,
        R::ProviderReview => api.stated([about("e", P::ManualReview, own)]).await,
        R::SecondPayment => api.stated([whole(), paid_as("pay_2", AMOUNT, own)]).await,
        R::BeyondConfirmed => {
            let back = refunded("re_1", P::Refunded, AMOUNT, own);
            api.stated([whole(), back, disputed("dp_1", P::Chargeback, own)]).await;
        }
        R::ConfirmedButRejected => {
            api.stated([about("e", P::ManualReview, own)]).await;
            api.ran(RESOLVE, r#"{"id":1,"action":"refuse","reason":"r"}"#).await;
            api.stated([whole()]).await;
        }
        R::HeldButHeard => {
            api.env.decide(TransactionId(1), PersonFact::Held(TransactionStatus::Cancelled)).await;
            api.stated([whole()]).await;
        }
        R::ProviderInReview => api.stated([about("e", P::InReview, own)]).await,
        R::DisputeUnmatched => {
            let won = disputed("dp_2", P::ChargebackReversed, own);
            api.stated([whole(), won, disputed("dp_1", P::Chargeback, own)]).await;
        }
        R::RefundFailed => {
            let back = [P::Refunded, P::RefundFailed].map(|status| refunded("re_1", status, 3_000, own));
            api.stated([whole()].into_iter().chain(back)).await;
        }
        R::ReversalWaits => api.stated([whole(), refunded("re_1", P::Refunded, 3_000, own)]).await,
        R::ReturnWaits => {
            api.stated([whole(), disputed("dp_1", P::Chargeback, own)]).await;
            api.ran(DEPOSIT, &entry(r#""force":1,"process_now":1"#)).await;
            api.established(ProviderFact::ReviewHold(ReviewHold::ReturnBeside { deposit: "2".into() })).await;
        }
        R::DisputeLifted => {
            api.stated([whole(), paid_as("pay_2", AMOUNT, own), disputed("dp_1", P::Chargeback, own)]).await;
            api.ran(RESOLVE, r#"{"id":1,"action":"refuse","reason":"r"}"#).await;
            api.stated([Update { event_id: "won".into(), ..disputed("dp_1", P::ChargebackReversed, own) }]).await;
        }
        R::ReversalMisplaced => {
            let other = api.env.deposit("other").await.unwrap().transaction;
            let back = Update { payment_id: "pay_9".into(), ..refunded("re_1", P::Refunded, 3_000, own) };
            api.stated([whole(), back, paid_as("pay_9", 15_000, &other.reference)]).await;
        }
        R::Written => {
            api.stated([whole()]).await;
            api.ran(UPDATE, r#"{"id":1,"failure_reason":"called the bank"}"#).await;
        }
        R::RefundPending | R::RefundRefused => {
            api.stated([whole()]).await;
            let answer = if code == R::RefundPending { OnRefund::Accepted } else { OnRefund::Decline };
            lock(&api.env.provider.next_refunds).push_back(answer);
            api.command("manager", REFUND, r#"{"id":1,"amount":30,"reason":"r"}"#).await;
        }
        R::PaymentIdReused => {
            let other = api.env.deposit("other").await.unwrap().transaction;
            api.stated([whole(), Update { event_id: "again".into(), ..paid_as("pay_1", AMOUNT, &other.reference) }])
                .await;
            id = other.id.0;
        }
        R::TooManyStatements => api.established(ProviderFact::ReviewHold(ReviewHold::NotStored)).await,
        R::OperationKeyConflict => {
            posts(OnPost::RefuseFor(R::OperationKeyReused));
            api.stated([whole()]).await;
        }
        R::PostingImported => imported(&api).await,
        R::PostingLost => {
            api.stated([whole()]).await;
            lost(&mut api, 1).await;
        }
        R::PostedTwice => {
            posts(OnPost::Flawed(PostingFlaw::Twice { other: 77 }));
            api.stated([whole()]).await;
        }
        R::PostedToChangedAccount => {
            posts(OnPost::Flawed(PostingFlaw::AccountChanged));
            api.stated([whole()]).await;
        }
        R::Withheld
        | R::AccountNotFound
        | R::SandboxOnRealAccount
        | R::OwnerMismatch
        | R::AccountDisabled
        | R::InsufficientBalance
        | R::ConfirmedAbsent
        | R::OperationKeyReused
        | R::LiveOnDemoAccount
        | R::InvalidAmount
        | R::TransactionNotFound
        | R::TooManyFacts
        | R::ProviderRefMismatch
        | R::ProviderConfigMismatch
        | R::Ignored
        | R::UnreadableNotice => panic!("{code} is no reason of a transaction"),
    }
    api.env.run_for(1).await;
    (api, id)
}

/// Reconcile found a posting that the books do not know.
async fn imported(api: &ManagerApi) {
    let own = api.env.aggregate(TransactionId(1)).transaction;
    let found = FoundPosting {
        key: OperationKey::read(&format!("{}:1", own.reference)).unwrap(),
        operation_id: OperationId(77),
        transaction_id: own.id,
        customer_id: own.customer_id,
        login: own.login,
        cmd: OperationCmd::BalanceIn,
        reason: OperationReason::Deposit,
        amount: own.amount,
        created_time: own.created_time,
        outcome: PostingOutcome::posted(1),
    };
    api.change(1, |known, at| known.reconcile(&[found], &[], at)).await;
}

/// The trading server does not have the postings any more.
pub(in crate::manager::tests) async fn lost(api: &mut ManagerApi, id: u64) {
    lock(&api.env.trading.posted).clear();
    api.change(id, |known, at| {
        let all: Vec<OperationId> = known.operations.iter().map(|known| known.id).collect();
        known.reconcile(&[], &all, at)
    })
    .await;
}
