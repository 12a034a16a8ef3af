//! The steps of the random histories: what a provider states, and what persons do by the decisions that the commands make.

use cashier_core::account::AccountFacts;
use cashier_core::credited_once;
use cashier_core::decisions::{self, Absence, Correction, Resolution};
use cashier_core::manual::{self, ManualRequest};
use cashier_core::money::Money;
use cashier_core::operation::PostingOutcome;
use cashier_core::refund::{self, CallGround, ManagerRefundRequest, PaymentAbilities, RefundAnswer, RefundStep};
use cashier_core::refusal::Refusal;
use cashier_core::session::CustomerSession;
use cashier_core::status::{TransactionStatus, TransactionType};
use cashier_core::time::UnixTime;
use cashier_core::transaction::Fresh;
use cashier_core::withdrawal::{self, WithdrawalRequest};

use super::*;

/// One step; `id` is of a transaction, the newest where there are fewer.
#[derive(Debug, Clone)]
pub(in crate::identity) enum Step {
    /// What the provider states of order `id`, in one of several events that each say it.
    Stated {
        id: u64,
        what: &'static str,
        event: u8,
        naming: Naming,
    },
    /// Order `id` is paid and credited; everything of it went back, where that is said.
    Credited {
        id: u64,
        is_back: bool,
    },
    /// A person enters a deposit with this id of a payment.
    Enter {
        payment: &'static str,
        minor: i64,
        force: bool,
        process: bool,
    },
    Withdraw,
    Cancel(u64),
    Process(u64),
    Reject(u64),
    Retry(u64),
    Absent(u64),
    Resolve(u64, i64),
    Write(u64, TransactionStatus),
    Refund(u64, &'static str),
    /// The provider is called about the refund of a transaction.
    Call(u64, RefundAnswer),
    End(u64, PostingOutcome),
    /// Whatever is under way is posted.
    Settled,
}

/// What a statement about a payment names beside it.
#[derive(Debug, Clone, Copy)]
pub(in crate::identity) struct Naming {
    pub(in crate::identity) order: Named,
    /// The provider's id of the payment, as one of the ids by which a transaction is found.
    pub(in crate::identity) with_ids: bool,
    /// It is about a further payment of the order.
    pub(in crate::identity) is_further: bool,
}

/// Whose reference comes with what goes back of a payment of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::identity) enum Named {
    Own,
    Other,
    Nobody,
}

impl Naming {
    pub(in crate::identity) const OWN: Self = Self { order: Named::Own, with_ids: false, is_further: false };

    fn any() -> impl Strategy<Value = Self> {
        let order = prop::sample::select(vec![Named::Own, Named::Other, Named::Other, Named::Nobody]);
        let any = (order, any::<bool>(), any::<bool>());
        any.prop_map(|(order, with_ids, is_further)| Self { order, with_ids, is_further })
    }
}

/// Each statement names its own order.
pub(super) fn any_step() -> impl Strategy<Value = Step> {
    any_step_naming(Just(Naming::OWN))
}

/// What goes back of a payment of one order may come with the reference of the other.
pub(super) fn any_crossed_step() -> impl Strategy<Value = Step> {
    any_step_naming(Naming::any())
}

fn any_step_naming(naming: impl Strategy<Value = Naming> + 'static) -> impl Strategy<Value = Step> {
    let id = || 1..=6_u64;
    let order = || 1..=ORDERS;
    let what = [
        "paid",
        "paid again",
        "unstated",
        "other amount",
        "linked",
        "back",
        "all back",
        "failed",
        "disputed",
        "won",
        "declined",
        "look",
        "further",
        "total",
    ];
    let payment = ["", "", "pi_1", "pi_2", "ch_1", "ch_2", "bank", "pi_1 further"];
    let outcome = prop_oneof![
        6 => Just(PostingOutcome::posted(9)),
        2 => Just(PostingOutcome::Refused { reason: "no".into() }),
        1 => Just(PostingOutcome::Unknown),
    ];
    let answer = prop_oneof![
        2 => Just(RefundAnswer::Stated(Box::new(named("", 1, S::Refunded)))),
        1 => Just(RefundAnswer::Stated(Box::new(named("", 1, S::Pending)))),
        1 => Just(RefundAnswer::Stated(Box::new(named("", 1, S::RefundFailed)))),
        1 => Just(RefundAnswer::Declined("no".into())),
        1 => Just(RefundAnswer::NotSent("down".into())),
        1 => Just(RefundAnswer::NoAnswer("down".into())),
    ];
    prop_oneof![
        8 => (order(), prop::sample::select(what.to_vec()), 0..3_u8, naming)
            .prop_map(|(id, what, event, naming)| Step::Stated { id, what, event, naming }),
        2 => (order(), any::<bool>()).prop_map(|(id, is_back)| Step::Credited { id, is_back }),
        4 => (prop::sample::select(payment.to_vec()), prop::sample::select(vec![10_000_i64, 10_000, 9_500]), any::<bool>(), any::<bool>())
            .prop_map(|(payment, minor, force, process)| Step::Enter { payment, minor, force, process }),
        1 => Just(Step::Withdraw),
        1 => id().prop_map(Step::Cancel),
        3 => id().prop_map(Step::Process),
        2 => id().prop_map(Step::Reject),
        2 => id().prop_map(Step::Retry),
        1 => id().prop_map(Step::Absent),
        3 => (id(), prop::sample::select(vec![0_i64, 5_000, 9_500, 10_000, 20_000])).prop_map(|(id, minor)| Step::Resolve(id, minor)),
        2 => (id(), prop::sample::select(TransactionStatus::ALL)).prop_map(|(id, status)| Step::Write(id, status)),
        1 => (id(), prop::sample::select(vec!["30", "100"])).prop_map(|(id, amount)| Step::Refund(id, amount)),
        2 => (order(), answer).prop_map(|(id, answer)| Step::Call(id, answer)),
        3 => (order(), prop::sample::select(vec![0_i64, 10_000, 20_000])).prop_map(|(id, minor)| Step::Resolve(id, minor)),
        5 => Just(Step::Settled),
        6 => (id(), outcome).prop_map(|(id, outcome)| Step::End(id, outcome)),
    ]
}

/// An event about an order of this amount; sent again it is the same one.
fn stated(id: u64, amount: Money, what: &str, event: u8, naming: Naming) -> Update {
    let is_further = naming.is_further || what == "further";
    let payment = if is_further { format!("pi_{id} further") } else { format!("pi_{id}") };
    let refund = format!("all back {payment} {event}");
    let event = format!("{what} {payment} {event} {naming:?}");
    let exact = |minor| Some(StatedAmount::Exact(Money::new(minor, amount.currency)));
    let own = |status| {
        let named = named(&event, id, status);
        let stated = Update { payment_id: payment.clone().into(), amount: exact(amount.minor), ..named };
        if naming.with_ids { with_ref(stated, &payment) } else { stated }
    };
    let back = |status| {
        let reference = match naming.order {
            Named::Own => Some(reference(id)),
            Named::Other => Some(reference(ORDERS + 1 - id)),
            Named::Nobody => None,
        };
        Update { amount: None, reference, ..own(status) }
    };
    let refunded = |id: &str, minor, reach| {
        let amount = StatedAmount::Exact(Money::new(minor, amount.currency));
        Some(RefundStatement { id: id.into(), amount, reach, requested: "".into() })
    };
    let dispute = Some(DisputeStatement { id: format!("dp_{payment}").into(), amount: None });
    match what {
        "paid" | "further" => own(S::Confirmed),
        "paid again" => Update { reference: None, ..with_ref(own(S::Confirmed), &payment) },
        "unstated" => Update { amount: None, ..own(S::Confirmed) },
        "other amount" => Update { amount: exact(amount.minor - 500), ..own(S::Confirmed) },
        "linked" => with_ref(named(&event, id, S::Pending), &format!("ch_{id}")),
        "back" => Update { refund: refunded(&event, 3_000, Reach::Delta), ..back(S::Refunded) },
        "all back" => Update { refund: refunded(&refund, amount.minor, Reach::Delta), ..back(S::Refunded) },
        "failed" => Update { refund: refunded(&refund, amount.minor, Reach::Delta), ..back(S::RefundFailed) },
        "total" => Update { refund: refunded("", 4_000, Reach::TotalSoFar), ..back(S::Refunded) },
        "disputed" => Update { dispute, ..back(S::Chargeback) },
        "won" => Update { dispute, ..back(S::ChargebackReversed) },
        "declined" => named(&event, id, S::Failed),
        _ => named(&event, id, S::ManualReview),
    }
}

pub(in crate::identity) fn request(payment: &str, minor: i64, force: bool) -> ManualRequest {
    ManualRequest {
        kind: TransactionType::Deposit,
        login: account().account.login,
        amount: usd(minor),
        customer_id: None,
        method: "bank".into(),
        provider_payment_id: payment.into(),
        idempotency_key: "".into(),
        comment: "".into(),
        metadata_json: "{}".into(),
        process_now: false,
        force,
        refused_if_new: None,
    }
}

impl Ledger {
    /// A command: where it is refused it has changed nothing.
    fn act(&mut self, judge: impl FnOnce(&mut Draft<'_>) -> Result<(), Refusal>) -> Result<(), Refusal> {
        let mut draft = Draft::new(&self.books, NOW);
        let judged = judge(&mut draft);
        assert!(judged.is_ok() || !draft.is_changed(), "{judged:?} changed something");
        let stamp = Stamp { actor: Actor::System, request_id: "r".into(), now: NOW };
        if let (Ok(()), (_, Some(commit))) = (&judged, draft.into_commit(&stamp)) {
            self.books.apply(&commit);
            self.commits.push(commit);
        }
        judged
    }

    fn about(
        &mut self,
        id: u64,
        judge: impl FnOnce(&mut Draft<'_>, &Aggregate) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let newest = self.books.transactions() as u64;
        let known = self.aggregate(id.min(newest));
        self.act(|draft| judge(draft, &known))
    }

    /// The end of a review, as the command makes it.
    pub(in crate::identity) fn resolve(&mut self, id: u64, minor: i64) -> Result<(), Refusal> {
        let id = id.min(self.books.transactions() as u64);
        self.about(id, |draft, known| {
            if minor > 0 {
                credited_once::check_once(draft, known, &[ConfigId(1), ConfigId(2)], Some(minor))?;
            }
            let amount = Money::new(minor, known.transaction.amount.currency);
            let end = if minor > 0 { Resolution::Credit(amount) } else { Resolution::Refuse };
            let changes = decisions::resolve(known, end, draft.context())?;
            draft.add(changes);
            Ok(())
        })
    }

    pub(in crate::identity) fn enter(
        &mut self,
        account: &AccountFacts,
        request: &ManualRequest,
        process: bool,
    ) -> Result<(), Refusal> {
        self.act(|draft| {
            let beside = credited_once::check_entry(draft, request, account)?;
            let id = draft.next_transaction();
            let fresh = Fresh { id, reference: reference(id.0), now: NOW };
            let opened = manual::open(draft, request, account, ManagerId(3), fresh, &beside);
            if process {
                let changes = manual::process(&opened, ManagerId(3), false, draft.context())?;
                draft.add(changes);
            }
            Ok(())
        })
    }

    pub(in crate::identity) fn play(&mut self, step: Step) {
        match step {
            Step::Stated { id, what, event, naming } => {
                let amount = self.aggregate(id).transaction.amount;
                let notice = VerifiedNotice::assertion(gateway(1), vec![stated(id, amount, what, event, naming)]);
                self.notice(&notice.also_verified_by(vec![gateway(2)]));
            }
            Step::Credited { id, is_back } => {
                for what in ["paid", "all back"].into_iter().take(1 + usize::from(is_back)) {
                    self.play(Step::Stated { id, what, event: 0, naming: Naming::OWN });
                    self.play(Step::End(id, PostingOutcome::posted(9)));
                }
            }
            Step::Enter { payment, minor, force, process } => {
                drop(self.enter(&account(), &request(payment, minor, force), process));
            }
            Step::Withdraw => drop(self.act(|draft| {
                let id = draft.next_transaction();
                let asked = WithdrawalRequest {
                    customer_id: CustomerId(5),
                    login: account().account.login,
                    method: "bank".into(),
                    amount: usd(1_000),
                    idempotency_key: "".into(),
                    comment: "".into(),
                    metadata_json: "{}".into(),
                    refused_if_new: None,
                };
                let fresh = Fresh { id, reference: reference(id.0), now: NOW };
                draft.add([Change::Transaction(Box::new(withdrawal::open(&asked, &account(), fresh)))]);
                Ok(())
            })),
            Step::Cancel(id) => drop(self.about(id, |draft, known| {
                let session = CustomerSession::assertion(CustomerId(5), None);
                let (_, changes) = manual::cancel(Some(known.clone()), &session, draft.context())?;
                draft.add(changes);
                Ok(())
            })),
            Step::Process(id) => drop(self.about(id, |draft, known| {
                credited_once::check_once(draft, known, &[ConfigId(1), ConfigId(2)], None)?;
                let changes = manual::process(known, ManagerId(3), false, draft.context())?;
                draft.add(changes);
                Ok(())
            })),
            Step::Reject(id) => drop(self.about(id, |draft, known| {
                let changes = manual::reject(known, "no", draft.context())?;
                draft.add(changes);
                Ok(())
            })),
            Step::Retry(id) | Step::Absent(id) => drop(self.about(id, |draft, known| {
                let unanswered = decisions::unanswered(known)?.filter(|_| matches!(step, Step::Absent(_)));
                let outcome = PostingOutcome::Refused { reason: ReasonCode::Withheld.name().into() };
                let absence = unanswered.map(|operation| Absence::Voided { operation, outcome });
                if known.owes() {
                    credited_once::check_once(draft, known, &[ConfigId(1), ConfigId(2)], None)?;
                }
                let changes = decisions::retry(known, absence.as_ref(), draft.context())?;
                draft.add(changes);
                Ok(())
            })),
            Step::Resolve(id, minor) => drop(self.resolve(id, minor)),
            Step::Write(id, status) => drop(self.about(id, |draft, known| {
                let correction = Correction { status: Some(status), ..Correction::default() };
                let changes = decisions::correct(known, &correction, draft.context())?;
                draft.add(changes);
                Ok(())
            })),
            Step::Refund(id, amount) => drop(self.about(id, |draft, known| {
                let request = ManagerRefundRequest {
                    amount: Some(amount.into()),
                    reason: "r".into(),
                    idempotency_key: "".into(),
                };
                let all = PaymentAbilities { refund: true, partial_refund: true, cancel: true };
                refund::request(draft, known, &request, Ok(all)).map(drop)
            })),
            Step::Call(id, answer) => {
                let ground =
                    CallGround { may_call: true, terms: 1, repeat_seconds: 3_600, trusted_since: Some(UnixTime(1)) };
                let step = self.decide(|draft| refund::step(draft, TransactionId(id), &ground));
                if let RefundStep::Call { order, repeated } = step {
                    let id = TransactionId(id);
                    self.decide(|draft| refund::answered(draft, id, &order.id, &answer, repeated));
                }
            }
            Step::Settled => {
                for known in self.all() {
                    self.play(Step::End(known.transaction.id.0, PostingOutcome::posted(9)));
                }
            }
            Step::End(id, outcome) => drop(self.about(id, |draft, known| {
                let unsettled = known.operations.iter().find(|known| known.is_unsettled());
                if let Some(operation) = unsettled {
                    draft.add(known.end_posting(operation.id, &outcome, ManagerId(3), draft.context()));
                }
                Ok(())
            })),
        }
    }

    pub(in crate::identity) fn all(&self) -> Vec<Aggregate> {
        self.books.aggregates().collect()
    }
}
