//! Each way in which the platform can go wrong with a request, at each request of a posting, in both kinds of posting.

use std::time::{Duration, Instant};

use cashier_fake_platform::Manner;
use cashier_tests::waiting::eventually;
use futures_util::future::join_all;

use super::{APPROVE, CREATE, MOVE, Platform, Unpaid};

const LOOK_UPS: [&str; 3] = ["GetAccountByLogin", "GetGroups", "MngGetTradesByFilter"];

/// Longer than any request of these tests takes to arrive.
const ARRIVED: Duration = Duration::from_millis(1_500);

/// Longer than the platform takes for one that arrived.
const DONE: Duration = Duration::from_millis(50);

/// Longer than it takes until a movement is sent.
const SENT: Duration = Duration::from_secs(3);

/// Deposits of one test, paid at one time: each command goes wrong for one of them, and answers come in any order.
const AMOUNTS: [i64; 3] = [250, 101, 37];

/// Deposits that are paid while the platform does so at the next requests of each command.
async fn paid(platform: &Platform, commands: &[&'static str], manners: &[Manner]) -> Vec<Unpaid> {
    let mut deposits = Vec::new();
    for dollars in AMOUNTS {
        deposits.push(platform.ordered(dollars).await);
    }
    for command in commands {
        platform.peer.fake().script(&manners.iter().map(|manner| (*command, *manner)).collect::<Vec<_>>());
    }
    join_all(deposits.iter().map(|deposit| platform.pay(deposit))).await;
    deposits
}

fn come_late(manners: &[Manner]) -> bool {
    manners.iter().any(|manner| matches!(manner, Manner::TimesOut(_) | Manner::ArrivesLate(_)))
}

/// The platform answers that it was asked too often instead of doing a thing: then the thing was not done.
fn is_too_often(manner: &&Manner) -> bool {
    matches!(manner, Manner::Refuses(_, "TOO_OFTEN"))
}

/// Whatever happens, what is paid is posted, once.
async fn two_phases(manners: &[Manner]) {
    let platform = Platform::start(2).await;
    let commands: Vec<&str> = LOOK_UPS.into_iter().chain([CREATE, APPROVE]).collect();
    let deposits = paid(&platform, &commands, manners).await;
    for deposit in &deposits {
        platform.is_credited_once(deposit).await;
    }
    if come_late(manners) {
        tokio::time::sleep(ARRIVED).await;
    }
    // A request that came late is declined by the next sweep.
    platform.deployment.clock.advance_seconds(61);
    eventually("no order is left open", async || (platform.open() == 0).then_some(())).await;
    for deposit in &deposits {
        platform.is_credited_once(deposit).await;
    }
    assert_eq!(platform.moved(), AMOUNTS.iter().sum::<i64>() * 100, "{manners:?}");
}

/// What is paid is sent once, and again only where the platform says that it did nothing; it is posted, or a person is asked.
async fn one_phase(manners: &[Manner]) {
    let platform = Platform::start(1).await;
    let commands: Vec<&str> = LOOK_UPS.into_iter().chain([MOVE]).collect();
    let deposits = paid(&platform, &commands, manners).await;
    // Each is recorded as possibly sent before it is sent, so that all are listed for a moment. One that is written to a connection
    // which is being closed never arrives.
    let closes = manners.iter().any(|manner| {
        matches!(manner, Manner::ClosesBefore | Manner::ClosesAfter | Manner::HalfALine | Manner::Garbage)
    });
    let (began, sent) = (Instant::now(), deposits.len() + manners.iter().filter(is_too_often).count());
    eventually("every movement", async || {
        let is_sent = platform.peer.fake().received(MOVE) >= sent;
        (is_sent || closes && began.elapsed() > SENT).then_some(())
    })
    .await;
    tokio::time::sleep(if come_late(manners) { ARRIVED } else { DONE }).await;
    let mut lost = 0;
    for deposit in &deposits {
        match platform.posted(deposit.id) {
            (0, _) => {
                platform.waits_for_a_person(deposit, "posting_unknown").await;
                lost += 1;
            }
            _ => platform.is_credited_once(deposit).await,
        }
    }
    let is_lost = |manner: &&Manner| {
        matches!(manner, Manner::Loses | Manner::ClosesBefore | Manner::Refuses(..)) && !is_too_often(manner)
    };
    assert!(closes || lost == manners.iter().filter(is_lost).count(), "{manners:?}: {lost} were lost");
    let posted = deposits.iter().map(|deposit| platform.posted(deposit.id).1);
    assert_eq!(platform.moved(), posted.sum::<i64>(), "{manners:?}");
    assert!(platform.peer.fake().received(MOVE) <= sent, "each is sent once");
}

macro_rules! cases {
    ($($name:ident: $manners:expr;)*) => {
        mod in_two_phases {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() { two_phases(&$manners).await })*
        }
        mod in_one_phase {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() { one_phase(&$manners).await })*
        }
    };
}

// The lengths are of the machine: 350 ms are the platform's time for an answer.
cases! {
    all_goes_well: [Manner::Well];
    an_answer_that_comes_late_and_out_of_order: [Manner::AnswersLate(150)];
    an_answer_that_comes_after_the_timeout: [Manner::AnswersLate(900)];
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
    a_limit_of_the_server: [Manner::Refuses(141, "TOO_OFTEN"), Manner::Refuses(8, "TOO_OFTEN")];
    a_server_that_stops_waiting_and_does_it_later: [Manner::TimesOut(200)];
    a_server_that_stops_waiting_and_does_it_much_later: [Manner::TimesOut(1_200)];
    a_request_that_arrives_after_the_timeout: [Manner::ArrivesLate(700)];
    requests_that_arrive_late_one_after_the_other: [Manner::ArrivesLate(1_200), Manner::ArrivesLate(600)];
    events_between_the_answers: [Manner::PushesFirst];
}
