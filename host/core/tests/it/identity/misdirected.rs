//! Early events that were received under another config than the one whose transaction appears: its own provider is asked.

use super::*;

/// Transaction 1 under config 2, and an early confirmation of its payment that config 1 alone verified.
fn early(update: Update) -> Ledger {
    let mut ledger = Ledger::with(&[2]);
    let filed = ledger.file(1, vec![with_ref(Update { reference: None, ..update }, "pi_9")]);
    assert!(filed.queries.is_empty());
    assert_eq!(ledger.events()[0].processing_status, ProcessingStatus::Pending);
    ledger
}

fn confirmed() -> Update {
    paid("e1", 1, "pi_9")
}

/// The ways in which transaction 1 gets the payment's id.
const WAYS: [&str; 3] = ["create answer", "query answer", "webhook"];

fn learn(ledger: &mut Ledger, way: &str) {
    let learned = with_ref(named("e2", 1, S::Pending), "pi_9");
    match way {
        "create answer" => {
            let ending = CreateEnding::Accepted(NextAction::None);
            let stated = CreateAnswerStated { ending: &ending, update: None, refs: &learned.refs };
            ledger.decide(|draft| inbox::end_create(draft, &gateway(2), TransactionId(1), &stated)).unwrap();
        }
        "query answer" => {
            ledger.decide(|draft| inbox::apply_answer(draft, &gateway(2), TransactionId(1), &learned));
        }
        _ => drop(ledger.file(2, vec![learned])),
    }
}

#[test]
fn the_owners_provider_is_queried_as_soon_as_the_transaction_has_the_id_and_nothing_is_applied() {
    for way in WAYS {
        for (given_up, update) in [(false, confirmed()), (true, confirmed()), (false, refunded("re_1", 1_000))] {
            let mut ledger = early(update);
            let waiting = ledger.events()[0].id;
            if given_up {
                ledger.decide(|draft| inbox::give_up(draft, [waiting]));
            }
            ledger.restart();
            learn(&mut ledger, way);
            let event = ledger.events().into_iter().find(|event| event.id == waiting).unwrap();
            assert!(event.failure_reason.starts_with("PROVIDER_CONFIG_MISMATCH"), "{way}: {}", event.failure_reason);
            assert_eq!((event.transaction_id, event.processing_status), (TransactionId(1), ProcessingStatus::Failed));
            assert!(ledger.aggregate(1).transaction.query_wanted > Seq(0), "{way}");
            assert_eq!(
                (ledger.standing(1).0, ledger.standing(1).1, ledger.books.unmatched().len()),
                (1, 0, 0),
                "{way}"
            );
            // Once: later updates require no further query.
            ledger.decide(|draft| {
                let answered = draft.aggregate(TransactionId(1)).unwrap().end_query(Seq(u64::MAX));
                draft.add(answered);
            });
            ledger.file(2, vec![Update { event_id: "e3".into(), ..named("e3", 1, S::Pending) }]);
            assert_eq!(ledger.aggregate(1).transaction.query_wanted, Seq(0), "{way}");
        }
    }
}

#[test]
fn an_event_that_its_own_config_verified_too_is_applied_and_asks_nobody() {
    for way in WAYS {
        let mut ledger = Ledger::with(&[2]);
        let notice =
            VerifiedNotice::assertion(gateway(1), vec![with_ref(Update { reference: None, ..confirmed() }, "pi_9")]);
        ledger.notice(&notice.also_verified_by(vec![gateway(2)]));
        learn(&mut ledger, way);
        assert_eq!((ledger.standing(1).1, ledger.aggregate(1).transaction.query_wanted), (10_000, Seq(0)), "{way}");
    }
}

#[test]
fn events_of_another_merchant_account_of_another_id_and_of_another_reference_are_left_alone() {
    let other_reference = Update { reference: Some(reference(77)), ..with_ref(confirmed(), "pi_9") };
    let other_id = Update { reference: None, ..with_ref(confirmed(), "pi_8") };
    let elsewhere = Update { reference: None, ..with_ref(confirmed(), "pi_9") };
    for (config, update) in [(1, other_reference), (1, other_id), (3, elsewhere)] {
        for way in WAYS {
            let mut ledger = Ledger::with(&[2]);
            ledger.file(config, vec![update.clone()]);
            learn(&mut ledger, way);
            assert_eq!(ledger.events()[0].processing_status, ProcessingStatus::Pending, "{way} {update:?}");
            assert_eq!(ledger.aggregate(1).transaction.query_wanted, Seq(0), "{way} {update:?}");
        }
    }
}
