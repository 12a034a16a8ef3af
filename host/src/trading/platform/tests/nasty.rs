//! Each way in which the platform can go wrong, at each request of a posting, in both kinds of posting: the money is posted exactly
//! once, or its outcome is unknown and a person sees it.

use cashier_core::operation::PostingOutcome;
use cashier_core::status::OperationStatus;
use cashier_fake_platform::{FakePlatform, Manner};

use super::flow::{MINOR, deposit, opened, settings, settle_for_long};
use crate::trading::platform::PlatformPhases;

const LOOK_UPS: [&str; 3] = ["GetAccountByLogin", "GetGroups", "MngGetTradesByFilter"];

/// Whatever happens to one request, a keyed posting ends as posted, once.
async fn two_phases(manners: &[Manner]) {
    for command in LOOK_UPS.into_iter().chain(["MngCreateFinanceRequest", "MngApproveFinanceRequest"]) {
        let fake = FakePlatform::new();
        fake.script(&manners.iter().map(|manner| (command, *manner)).collect::<Vec<_>>());
        let running = opened(&fake, settings(PlatformPhases::Two));
        let mut due = deposit();
        let outcome = settle_for_long(&running.server, &mut due).await;
        let seen = format!("{manners:?} at {command}: {outcome:?}");
        assert!(matches!(outcome, Some(PostingOutcome::Posted { flaw: None, .. })), "{seen}");
        // Whatever is under way arrives, and is swept.
        tokio::time::sleep(std::time::Duration::from_secs(300)).await;
        assert_eq!((fake.balance(100), fake.executed(due.key().as_str()), fake.in_state(17)), (MINOR, 1, 0), "{seen}");
    }
}

/// A posting without key is sent once; it is posted, or its outcome stays unknown.
async fn one_phase(manners: &[Manner]) {
    for command in LOOK_UPS.into_iter().chain(["BalanceInSync"]) {
        let fake = FakePlatform::new();
        fake.script(&manners.iter().map(|manner| (command, *manner)).collect::<Vec<_>>());
        let running = opened(&fake, settings(PlatformPhases::One));
        let mut due = deposit();
        let outcome = settle_for_long(&running.server, &mut due).await;
        tokio::time::sleep(std::time::Duration::from_secs(300)).await;
        let (moved, sent) = (fake.balance(100), fake.received("BalanceInSync"));
        let seen = format!("{manners:?} at {command}: {outcome:?}, moved {moved}, sent {sent} times");
        match outcome {
            Some(PostingOutcome::Posted { flaw: None, .. }) => assert_eq!(moved, MINOR, "{seen}"),
            // Nothing was made: a person says so after a look.
            None => assert!(moved == 0 && due.operation.status == OperationStatus::Unknown, "{seen}"),
            other => panic!("{seen}: {other:?}"),
        }
        let is_lost = manners
            .iter()
            .any(|manner| matches!(manner, Manner::Loses | Manner::ClosesBefore | Manner::Refuses(403 | 500, _)));
        assert!(moved == MINOR || is_lost && command == "BalanceInSync", "{seen}");
        // What is asked too often is not done, and sent again.
        let is_limit = |manner: &&Manner| matches!(manner, Manner::Refuses(8 | 22 | 141 | 429, _));
        let refused = if command == "BalanceInSync" { manners.iter().filter(is_limit).count() } else { 0 };
        assert!(sent == 1 + refused, "{seen}");
    }
}

macro_rules! cases {
    ($($name:ident: $manners:expr;)*) => {
        mod in_two_phases {
            use super::*;
            $(#[tokio::test(start_paused = true)] async fn $name() { two_phases(&$manners).await })*
        }
        mod in_one_phase {
            use super::*;
            $(#[tokio::test(start_paused = true)] async fn $name() { one_phase(&$manners).await })*
        }
    };
}

cases! {
    all_goes_well: [Manner::Well];
    an_answer_that_comes_late: [Manner::AnswersLate(4_000)];
    an_answer_that_comes_after_the_timeout: [Manner::AnswersLate(20_000)];
    an_answer_that_comes_twice: [Manner::AnswersTwice];
    an_answer_that_never_comes: [Manner::NeverAnswers];
    answers_that_never_come_three_times: [Manner::NeverAnswers, Manner::NeverAnswers, Manner::NeverAnswers];
    a_request_that_is_lost: [Manner::Loses];
    requests_that_are_lost_three_times: [Manner::Loses, Manner::Loses, Manner::Loses];
    a_connection_that_is_lost_before_the_request_is_done: [Manner::ClosesBefore];
    a_connection_that_is_lost_within_the_answer: [Manner::HalfALine];
    a_connection_that_is_lost_after_the_request_is_done: [Manner::ClosesAfter];
    garbage_in_place_of_an_answer: [Manner::Garbage];
    an_error_that_says_nothing_of_the_posting: [Manner::Refuses(403, "NO_RIGHTS")];
    an_answer_that_says_neither_yes_nor_no: [Manner::Refuses(500, "INTERNAL")];
    answers_that_say_it_was_received_and_no_more: [Manner::DoneAs(202), Manner::DoneAs(201)];
    a_limit_of_the_server: [Manner::Refuses(141, "TOO_OFTEN"), Manner::Refuses(8, "TOO_OFTEN")];
    a_server_that_stops_waiting_and_does_it_later: [Manner::TimesOut(3_000)];
    a_server_that_stops_waiting_and_does_it_much_later: [Manner::TimesOut(90_000)];
    a_request_that_arrives_after_the_timeout: [Manner::ArrivesLate(15_000)];
    requests_that_arrive_late_one_after_the_other: [Manner::ArrivesLate(100_000), Manner::ArrivesLate(10_000)];
    events_between_the_answers: [Manner::PushesFirst];
}
