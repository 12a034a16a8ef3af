//! Which connection ends for another: new ones, idle ones, downloads, and those of providers.

use super::*;
use crate::http::connection_limits::{PROGRESS_BYTES_MIN, SWEEP_PAUSE, YOUNG_PER_ADDRESS_MAX};

const STEP: Duration = Duration::from_millis(100);

/// So many idle connections of this address, each proven.
fn proven(places: &Arc<Connections>, number: usize, newcomer: Newcomer, proof: Proof) -> Vec<Admitted> {
    let all = many(places, number, newcomer, Phase::Idle);
    all.iter().for_each(|admitted| admitted.proved(proof));
    all
}

#[tokio::test(start_paused = true)]
async fn b3_a_new_connection_has_its_second_while_its_address_has_idle_ones() {
    for phase in [Phase::Fresh, Phase::Handshake, Phase::Head] {
        let places = opened(LIMITS);
        let idle = proven(&places, 2, from(1), Proof::Customer(CustomerId(1)));
        let first = many(&places, 1, from(1), phase);
        pass(STEP, &places).await;
        let second = many(&places, 1, from(1), phase);
        pass(STEP, &places).await;
        assert_eq!((open(&first), open(&second), open(&idle)), (1, 1, 1), "an idle one ended for it");
        let third = many(&places, 1, from(1), phase);
        assert_eq!((open(&first), open(&idle)), (1, 0));
        // None idles: its own oldest new one ends.
        let fourth = many(&places, 1, from(1), phase);
        assert_eq!([&first, &second, &third, &fourth].map(open), [0, 1, 1, 1]);
        // What did nothing with its second ends before an idle one.
        pass(GRACE_TIME_MAX, &places).await;
        third[0].enter(Phase::Idle);
        let _fifth = many(&places, 1, from(1), phase);
        assert_eq!([&second, &third, &fourth].map(open), [0, 1, 1]);
    }
}

#[tokio::test(start_paused = true)]
async fn b3_newcomers_of_many_addresses_do_not_end_each_other_while_known_ones_idle() {
    let places = opened(ConnectionLimits { all: 8, reserved: 0, per_address: 0, ..LIMITS });
    let idle: Vec<_> = (0..8)
        .flat_map(|number| proven(&places, 1, from(number), Proof::Customer(CustomerId(number as u64))))
        .collect();
    let mut newcomers = Vec::new();
    for number in 100..108 {
        newcomers.extend(many(&places, 1, from(number), Phase::Handshake));
        pass(STEP, &places).await;
    }
    assert_eq!((open(&newcomers), open(&idle)), (8, 0));
    assert!(places.admit(from(108)).is_none(), "each has one, and each is on time");
    pass(GRACE_TIME_MAX, &places).await;
    assert!(places.admit(from(108)).is_some());
}

#[tokio::test(start_paused = true)]
async fn b3_a_flood_of_new_connections_ends_its_own_and_not_all_that_idle() {
    let limits = ConnectionLimits { all: 4_096, reserved: 1_024, per_address: 256, ..LIMITS };
    let places = opened(limits);
    let session = Proof::Customer(CustomerId(1));
    let idle = proven(&places, 256, from(1), session);
    let _flood: Vec<_> = (0..2_000).map(|_| places.admit(from(1)).unwrap()).collect();
    // One more than may be on time: another is on time before the oldest is not.
    assert_eq!(open(&idle), 256 - YOUNG_PER_ADDRESS_MAX - 1);
}

#[tokio::test(start_paused = true)]
async fn b3_silent_sockets_of_many_addresses_end_before_the_proven_connections_of_one() {
    let limits = ConnectionLimits { all: 4_096, reserved: 1_024, per_address: 256, ..LIMITS };
    for time in [Duration::ZERO, GRACE_TIME_MAX] {
        let places = opened(limits);
        let mut carrier = Vec::new();
        for number in 0..100 {
            carrier.extend(proven(&places, 1, from(1), Proof::Customer(CustomerId(number))));
        }
        carrier[..10].iter().for_each(|admitted| assert!(admitted.enter(Phase::Sending)));
        let silent: Vec<_> = (1_000..3_972).map(|number| places.admit(from(number)).unwrap()).collect();
        assert_eq!(places.sizes().0, 3_072);
        pass(time, &places).await;
        let further: Vec<_> = (5_000..5_200).map(|number| places.admit(from(number)).unwrap()).collect();
        assert_eq!((open(&carrier), open(&silent), open(&further)), (100, 2_972 - 200, 200), "{time:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn b3_a_download_ends_after_the_idle_connections_of_its_address() {
    for proof in [Proof::Manager(ManagerId(1)), Proof::Nothing] {
        for phase in [Phase::Sending, Phase::Receiving] {
            let places = opened(LIMITS);
            let all = proven(&places, 3, from(1), proof);
            let (slow, idle) = all.split_first().unwrap();
            slow.enter(phase);
            slow.sending().waits();
            pass(GRACE_TIME_MAX, &places).await;
            let newcomers = [(); 2].map(|()| {
                let admitted = places.admit(from(1)).unwrap();
                admitted.enter(Phase::Answering);
                admitted
            });
            assert_eq!((open([slow]), open(idle)), (1, 0), "{phase:?} {proof:?}");
            assert!(places.admit(from(1)).is_some(), "its client is slow");
            assert_eq!((open([slow]), open(&newcomers)), (0, 2));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn b3_an_answer_that_is_taken_and_one_that_the_server_makes_are_on_time() {
    // Each sweep of the second: whether the server waits, and how much went on; and whether it ends for another.
    for (phase, waits, bytes, ends) in [
        (Phase::Sending, true, PROGRESS_BYTES_MIN, false),
        (Phase::Sending, true, PROGRESS_BYTES_MIN - 1, true),
        (Phase::Sending, false, 0, false),
        (Phase::Receiving, false, PROGRESS_BYTES_MIN, false),
        (Phase::Receiving, false, PROGRESS_BYTES_MIN - 1, true),
    ] {
        let places = opened(ConnectionLimits { all: 1, reserved: 0, per_address: 0, ..LIMITS });
        let admitted = places.admit(from(1)).unwrap();
        admitted.enter(phase);
        for _ in 0..20 {
            match phase {
                Phase::Sending => admitted.sending().took(bytes, Duration::ZERO),
                _ => admitted.bytes_came(bytes),
            }
            if waits {
                admitted.sending().waits();
            }
            pass(SWEEP_PAUSE, &places).await;
        }
        assert_eq!(places.admit(from(2)).is_some(), ends, "{phase:?} {waits} {bytes}");
    }
}

#[tokio::test(start_paused = true)]
async fn b3_providers_have_half_of_a_listener_and_beyond_it_their_own_oldest_ends() {
    let limits = ConnectionLimits { all: 64, reserved: 16, per_address: 256, ..LIMITS };
    // From one address and from several; on connections that idle and on those that wait for the cashier.
    for addresses in [1, 8] {
        let places = opened(limits);
        let customers: Vec<_> = (0..40)
            .flat_map(|number| proven(&places, 1, from(number), Proof::Customer(CustomerId(number as u64))))
            .collect();
        let mut provider = Vec::new();
        for number in 0..64 {
            provider.extend(proven(&places, 1, from(100 + number % addresses), Proof::Notice));
            pass(STEP, &places).await;
        }
        assert_eq!((open(&customers), open(&provider)), (32, 32));
        assert_eq!(open(&provider[32..]), 32, "the last ones");
        answering(&provider[32..]);
        assert!(places.admit(from(100)).is_none(), "all of them are being answered");
        assert!(places.admit(proxy()).is_some(), "a proxy stands for others");
        assert_eq!(open(&provider), 32);
    }
}

#[tokio::test(start_paused = true)]
async fn b3_the_new_connections_of_who_may_be_a_proxy_are_as_many_as_all_may_have() {
    let places = opened(ConnectionLimits { all: 512, reserved: 0, per_address: 256, ..LIMITS });
    let local = Newcomer { limited: false, ..of("127.0.0.1") };
    let idle: Vec<_> = (0..412).flat_map(|number| many(&places, 1, from(number), Phase::Idle)).collect();
    let new = many(&places, 100, local, Phase::Fresh);
    let further: Vec<_> = (500..564).flat_map(|number| many(&places, 1, from(number), Phase::Idle)).collect();
    assert_eq!((open(&idle), open(&new), open(&further)), (412 - 64, 100, 64));
}
