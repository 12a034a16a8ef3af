//! Random histories of two orders with manual deposits beside them, by the decisions that the commands make: of an order and a
//! manual deposit that carries its payment one is credited, and after each step what is posted is what is owed, or it is listed.

use cashier_core::account::AccountFacts;
use cashier_core::credited_once;
use cashier_core::decisions::{self, Absence, Correction, Resolution};
use cashier_core::duty::{self, WorkKind};
use cashier_core::facts::PersonFact;
use cashier_core::manual::{self, ManualRequest};
use cashier_core::money::Money;
use cashier_core::operation::{PostingOutcome, posted};
use cashier_core::refund::{self, CallGround, ManagerRefundRequest, PaymentAbilities, RefundAnswer, RefundStep};
use cashier_core::refusal::Refusal;
use cashier_core::session::CustomerSession;
use cashier_core::status::{Source, TransactionStatus, TransactionType};
use cashier_core::time::UnixTime;
use cashier_core::transaction::{Fresh, Transaction};
use cashier_core::withdrawal::{self, WithdrawalRequest};

use super::*;

const ORDERS: u64 = 2;

/// One step; `id` is of a transaction, the newest where there are fewer.
#[derive(Debug, Clone)]
enum Step {
    /// What the provider states of order `id`, in one of several events.
    Stated {
        id: u64,
        what: &'static str,
    },
    /// A person enters a deposit with this id of a payment.
    Enter {
        payment: &'static str,
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
}

fn any_step() -> impl Strategy<Value = Step> {
    let id = || 1..=6_u64;
    let order = || 1..=ORDERS;
    let what =
        ["paid", "paid again", "unstated", "other amount", "linked", "back", "disputed", "won", "declined", "look"];
    let payment = ["", "pi_1", "pi_2", "ch_1", "ch_2", "bank"];
    let outcome = prop_oneof![
        6 => Just(PostingOutcome::Posted { trade_order: 9 }),
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
        6 => (order(), prop::sample::select(what.to_vec())).prop_map(|(id, what)| Step::Stated { id, what }),
        3 => (prop::sample::select(payment.to_vec()), any::<bool>(), any::<bool>())
            .prop_map(|(payment, force, process)| Step::Enter { payment, force, process }),
        1 => Just(Step::Withdraw),
        1 => id().prop_map(Step::Cancel),
        3 => id().prop_map(Step::Process),
        2 => id().prop_map(Step::Reject),
        2 => id().prop_map(Step::Retry),
        1 => id().prop_map(Step::Absent),
        3 => (id(), prop::sample::select(vec![0_i64, 5_000, 10_000])).prop_map(|(id, minor)| Step::Resolve(id, minor)),
        2 => (id(), prop::sample::select(TransactionStatus::ALL)).prop_map(|(id, status)| Step::Write(id, status)),
        1 => (id(), prop::sample::select(vec!["30", "100"])).prop_map(|(id, amount)| Step::Refund(id, amount)),
        2 => (order(), answer).prop_map(|(id, answer)| Step::Call(id, answer)),
        9 => (id(), outcome).prop_map(|(id, outcome)| Step::End(id, outcome)),
    ]
}

/// An event about an order; sent again it is the same one.
fn stated(id: u64, what: &str) -> Update {
    let (event, payment) = (format!("{what} {id}"), format!("pi_{id}"));
    let own = |status| Update { payment_id: payment.clone().into(), ..named(&event, id, status) };
    let dispute = |amount| Some(DisputeStatement { id: format!("dp_{id}").into(), amount });
    match what {
        "paid" => own(S::Confirmed),
        "paid again" => Update { reference: None, ..with_ref(own(S::Confirmed), &payment) },
        "unstated" => Update { amount: None, ..own(S::Confirmed) },
        "other amount" => Update { amount: Some(StatedAmount::Exact(usd(9_500))), ..own(S::Confirmed) },
        "linked" => with_ref(named(&event, id, S::Pending), &format!("ch_{id}")),
        "back" => Update { refund: refunded(&event, 3_000).refund, amount: None, ..own(S::Refunded) },
        "disputed" => Update { dispute: dispute(None), ..own(S::Chargeback) },
        "won" => Update { dispute: dispute(None), ..own(S::ChargebackReversed) },
        "declined" => named(&event, id, S::Failed),
        _ => named(&event, id, S::ManualReview),
    }
}

fn request(payment: &str, force: bool) -> ManualRequest {
    ManualRequest {
        kind: TransactionType::Deposit,
        login: account().account.login,
        amount: usd(10_000),
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
    fn act(&mut self, judge: impl FnOnce(&mut Draft<'_>) -> Result<(), Refusal>) {
        let mut draft = Draft::new(&self.books, NOW);
        let judged = judge(&mut draft);
        assert!(judged.is_ok() || !draft.is_changed(), "{judged:?} changed something");
        let stamp = Stamp { actor: Actor::System, request_id: "r".into(), now: NOW };
        if let (Ok(()), (_, Some(commit))) = (judged, draft.into_commit(&stamp)) {
            self.books.apply(&commit);
            self.commits.push(commit);
        }
    }

    fn about(&mut self, id: u64, judge: impl FnOnce(&mut Draft<'_>, &Aggregate) -> Result<(), Refusal>) {
        let newest = self.books.transactions() as u64;
        let known = self.aggregate(id.min(newest));
        self.act(|draft| judge(draft, &known));
    }

    fn enter(&mut self, account: &AccountFacts, payment: &str, force: bool, process: bool) {
        self.act(|draft| {
            let request = request(payment, force);
            let beside = credited_once::check_entry(draft, &request, account)?;
            let id = draft.next_transaction();
            let fresh = Fresh { id, reference: reference(id.0), now: NOW };
            let opened = manual::open(draft, &request, account, ManagerId(3), fresh, &beside);
            if process {
                let changes = manual::process(&opened, ManagerId(3), false, draft.context())?;
                draft.add(changes);
            }
            Ok(())
        });
    }

    fn play(&mut self, step: Step) {
        match step {
            Step::Stated { id, what } => drop(self.file(1, vec![stated(id, what)])),
            Step::Enter { payment, force, process } => self.enter(&account(), payment, force, process),
            Step::Withdraw => self.act(|draft| {
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
            }),
            Step::Cancel(id) => self.about(id, |draft, known| {
                let session = CustomerSession::assertion(CustomerId(5), None);
                let (_, changes) = manual::cancel(Some(known.clone()), &session, draft.context())?;
                draft.add(changes);
                Ok(())
            }),
            Step::Process(id) => self.about(id, |draft, known| {
                credited_once::check_once(draft, known, &[ConfigId(1), ConfigId(2)], None)?;
                let changes = manual::process(known, ManagerId(3), false, draft.context())?;
                draft.add(changes);
                Ok(())
            }),
            Step::Reject(id) => self.about(id, |draft, known| {
                let changes = manual::reject(known, "no", draft.context())?;
                draft.add(changes);
                Ok(())
            }),
            Step::Retry(id) | Step::Absent(id) => self.about(id, |draft, known| {
                let unanswered = decisions::unanswered(known)?.filter(|_| matches!(step, Step::Absent(_)));
                let outcome = PostingOutcome::Refused { reason: ReasonCode::Withheld.name().into() };
                let absence = unanswered.map(|operation| Absence::Voided { operation, outcome });
                if known.owes() {
                    credited_once::check_once(draft, known, &[ConfigId(1), ConfigId(2)], None)?;
                }
                let changes = decisions::retry(known, absence.as_ref(), draft.context())?;
                draft.add(changes);
                Ok(())
            }),
            Step::Resolve(id, minor) => self.about(id, |draft, known| {
                if minor > 0 {
                    credited_once::check_once(draft, known, &[ConfigId(1), ConfigId(2)], None)?;
                }
                let amount = Money::new(minor, known.transaction.amount.currency);
                let end = if minor > 0 { Resolution::Credit(amount) } else { Resolution::Refuse };
                let changes = decisions::resolve(known, end, draft.context())?;
                draft.add(changes);
                Ok(())
            }),
            Step::Write(id, status) => self.about(id, |draft, known| {
                let correction = Correction { status: Some(status), ..Correction::default() };
                let changes = decisions::correct(known, &correction, draft.context())?;
                draft.add(changes);
                Ok(())
            }),
            Step::Refund(id, amount) => self.about(id, |draft, known| {
                let request = ManagerRefundRequest {
                    amount: Some(amount.into()),
                    reason: "r".into(),
                    idempotency_key: "".into(),
                };
                let all = PaymentAbilities { refund: true, partial_refund: true, cancel: true };
                refund::request(draft, known, &request, Ok(all)).map(drop)
            }),
            Step::Call(id, answer) => {
                let ground =
                    CallGround { may_call: true, terms: 1, repeat_seconds: 3_600, trusted_since: Some(UnixTime(1)) };
                let step = self.decide(|draft| refund::step(draft, TransactionId(id), &ground));
                if let RefundStep::Call { order, repeated } = step {
                    let id = TransactionId(id);
                    self.decide(|draft| refund::answered(draft, id, &order.id, &answer, repeated));
                }
            }
            Step::End(id, outcome) => self.about(id, |draft, known| {
                let unsettled = known.operations.iter().find(|known| known.is_unsettled());
                if let Some(operation) = unsettled {
                    draft.add(known.end_posting(operation.id, &outcome, ManagerId(3), draft.context()));
                }
                Ok(())
            }),
        }
    }

    fn all(&self) -> Vec<Aggregate> {
        self.books.aggregates().collect()
    }
}

/// Posted, or on its way.
fn credited(known: &Aggregate) -> i64 {
    let under_way = known.operations.iter().filter(|known| known.is_unsettled() && known.amount.minor > 0);
    posted(&known.transaction, &known.operations).minor + under_way.map(|known| known.amount.minor).sum::<i64>()
}

fn carries(row: &Transaction, payment: &str) -> bool {
    row.source == Source::Manual && *row.provider_payment_id == *payment
}

fn check(all: &[Aggregate], books: &Books) -> Result<(), TestCaseError> {
    let listed = books.work_after(TransactionId(0), all.len() + 1);
    for known in all {
        let items = duty::of_transaction(known, NOW);
        prop_assert_eq!(!items.is_empty(), listed.contains(&known.transaction.id), "{:?} of {:?}", items, known);
        let (sum, owed) = (posted(&known.transaction, &known.operations).minor, known.standing().owed_minor);
        let written = known.transaction.facts.persons.iter().fold(None, |written, known| match known.fact {
            PersonFact::Held(status) => Some(status),
            PersonFact::Released => None,
            _ => written,
        });
        let settled_outside = sum < owed && written == Some(TransactionStatus::Credited);
        prop_assert!(sum == owed || settled_outside || !items.is_empty(), "posted {} owed {}: {:?}", sum, owed, known);
        let is_reviewed = written.is_none() && known.transaction.facts.open_holds().next().is_some();
        let is_listed = items.iter().any(|item| item.kind == WorkKind::Review);
        prop_assert!(!is_reviewed || is_listed, "an open review is not listed: {:?}", known);
    }
    for id in 1..=ORDERS {
        let order = &all[id as usize - 1];
        let by_payment =
            |payment: &str| all.iter().filter(|known| carries(&known.transaction, payment)).collect::<Vec<_>>();
        let entered = by_payment(&format!("pi_{id}"));
        // An order that a person credited before any statement named its payment is reviewed once one does.
        let payment = format!("pi_{id}");
        let naming = order.transaction.facts.provider.iter().filter(|known| match &known.fact {
            ProviderFact::Confirmed { payment: own, .. } => **own == *payment,
            ProviderFact::ReviewHold(hold) => *hold.payment() == *payment,
            _ => false,
        });
        let named = naming.map(|known| known.seq).min();
        let credits = |fact: &PersonFact| matches!(fact, PersonFact::Resolved { minor: 1.. });
        let credited_before =
            |named| order.transaction.facts.persons.iter().any(|known| known.seq < named && credits(&known.fact));
        let own = Some(order).filter(|_| named.is_some_and(|named| !credited_before(named)));
        let money: Vec<_> = entered.iter().copied().chain(own).filter(|known| credited(known) > 0).collect();
        prop_assert!(money.len() <= 1, "the payment of order {} is credited twice: {:?}", id, money);
        // By another id of the payment: from when the order has that id, it is a review that names both.
        let linked = order.transaction.refs.iter().any(|own| *own.value == *format!("ch_{id}"));
        for entry in by_payment(&format!("ch_{id}")).into_iter().filter(|known| linked && credited(known) > 0) {
            let owner = entry.transaction.id.to_string();
            let names = order.transaction.facts.any(|fact| {
                matches!(fact, ProviderFact::ReviewHold(ReviewHold::PaymentReused { owner: of, .. }) if **of == owner)
            });
            prop_assert!(names || credited(order) == 0, "order {} is credited beside {:?}: {:?}", id, entry, order);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn of_an_order_and_a_manual_deposit_with_its_payment_one_is_credited_and_what_differs_is_listed(
        steps in prop::collection::vec(any_step(), 1..30),
    ) {
        let mut ledger = Ledger::with(&[1; ORDERS as usize]);
        for step in steps {
            ledger.play(step);
            check(&ledger.all(), &ledger.books)?;
        }
    }
}

/// Few by default; the variable asks for more.
fn cases() -> u32 {
    std::env::var("CASHIER_CORE_HISTORIES").ok().and_then(|number| number.parse().ok()).unwrap_or(400)
}
