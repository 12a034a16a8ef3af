//! Places of connections by counts: who gets one, who loses one, and that every place is given back.

use cashier_core::ids::{CustomerId, ManagerId};

use super::*;
use crate::http::connection_limits::{GRACE_TIME_MAX, HEADER_TIME_MAX, HEADS_PER_ADDRESS_MAX};
use crate::http::known_addresses::SESSION_TIME_MAX;

mod order;

const LIMITS: ConnectionLimits =
    ConnectionLimits { all: 20, reserved: 4, per_address: 3, idle: Duration::from_secs(75) };

type Admitted = Arc<AdmittedConnection>;

fn opened(limits: ConnectionLimits) -> Arc<Connections> {
    Connections::new(limits, Box::leak(Box::new(ListenerCounts::new("test"))))
}

fn of(address: &str) -> Newcomer {
    Newcomer { address: address.parse().unwrap(), limited: true, trusted: false }
}

fn from(number: usize) -> Newcomer {
    of(&format!("198.51.{}.{}", number / 256, number % 256))
}

fn proxy() -> Newcomer {
    Newcomer { address: "10.0.0.1".parse().unwrap(), limited: false, trusted: true }
}

/// So many connections of this address, doing that.
fn many(places: &Arc<Connections>, number: usize, newcomer: Newcomer, phase: Phase) -> Vec<Admitted> {
    let admit = |_| {
        let admitted = places.admit(newcomer).unwrap();
        admitted.enter(phase);
        if phase == Phase::Sending {
            admitted.sending().waits();
        }
        admitted
    };
    (0..number).map(admit).collect()
}

fn answering<'a>(all: impl IntoIterator<Item = &'a Admitted>) {
    for admitted in all {
        assert!(admitted.enter(Phase::Answering));
    }
}

fn open<'a>(among: impl IntoIterator<Item = &'a Admitted>) -> usize {
    among.into_iter().filter(|admitted| admitted.phase().is_some()).count()
}

async fn pass(time: Duration, places: &Connections) {
    tokio::time::advance(time).await;
    places.sweep();
}

#[tokio::test(start_paused = true)]
async fn b3_places_are_given_back_and_nothing_is_remembered_of_an_unknown_address() {
    let places = opened(LIMITS);
    let all = [Phase::Fresh, Phase::Handshake, Phase::Head, Phase::Receiving, Phase::Answering, Phase::Sending];
    for (number, phase) in all.into_iter().cycle().take(1_000).enumerate() {
        let admitted = places.admit(from(number % 250)).unwrap();
        admitted.enter(phase);
        let second = Arc::clone(&admitted);
        drop(admitted);
        assert_eq!(places.sizes().0, 1, "the place is the connection's until its last part is gone");
        drop(second);
    }
    assert_eq!(places.sizes(), (0, 0));
    let proxied = places.admit(proxy()).unwrap();
    assert!(proxied.count_for(of("203.0.113.5")));
    assert_eq!(places.sizes(), (1, 1));
    drop(proxied);
    assert_eq!((places.sizes(), places.counts.open_now()), ((0, 0), 0));
}

#[tokio::test(start_paused = true)]
async fn b3_the_connection_that_ends_for_another_is_the_longest_waiting_of_the_address_with_most() {
    let places = opened(ConnectionLimits { all: 10, per_address: 0, ..LIMITS });
    let mut open = Vec::new();
    for address in [1, 2, 2, 3, 3, 3] {
        open.push(places.admit(from(address)).unwrap());
        tokio::time::advance(Duration::from_millis(10)).await;
    }
    open[3].enter(Phase::Answering);
    let newcomer = places.admit(from(4)).expect("another ends for it");
    let ended: Vec<usize> = (0..6).filter(|place| open[*place].phase().is_none()).collect();
    assert_eq!(ended, [4], "the oldest of address 3 is being answered");
    drop(newcomer);
    for admitted in &open {
        admitted.enter(Phase::Answering);
    }
    let last = places.admit(from(5)).unwrap();
    last.enter(Phase::Answering);
    assert!(places.admit(from(6)).is_none(), "nobody waits, so nobody ends");
    assert_eq!((places.counts.ended_so_far(), places.counts.refused_so_far()), ((1, 0, 0), 1));
}

#[tokio::test(start_paused = true)]
async fn b3_slow_bodies_and_slow_readers_end_for_others_and_a_request_in_a_flow_does_not() {
    let limits = ConnectionLimits { all: 80, reserved: 16, per_address: 256, ..LIMITS };
    let places = opened(limits);
    let quiet: Vec<_> = (100..104).flat_map(|number| many(&places, 1, from(number), Phase::Idle)).collect();
    let slow: Vec<_> = [Phase::Receiving, Phase::Sending, Phase::Answering].into_iter().enumerate().collect();
    let slow: Vec<_> = slow.into_iter().map(|(number, phase)| many(&places, 16, from(number), phase)).collect();
    let single: Vec<_> = (200..212).flat_map(|number| many(&places, 1, from(number), Phase::Receiving)).collect();
    assert_eq!(places.sizes().0, 64);
    let mut newcomers = Vec::new();
    for number in 300..304 {
        newcomers.extend(many(&places, 1, from(number), Phase::Receiving));
    }
    assert_eq!(open(&quiet), 0, "idle ones end before a request that is on time");
    newcomers.extend(many(&places, 1, from(304), Phase::Receiving));
    assert_eq!(open(slow.iter().flatten()), 47, "nobody waits: the address with most of what is on time loses one");
    pass(GRACE_TIME_MAX, &places).await;
    for number in 400..430 {
        newcomers.extend(many(&places, 1, from(number), Phase::Idle));
    }
    let left: Vec<usize> = slow.iter().map(open).collect();
    assert_eq!(left[2], 16, "a flow is never cut");
    assert!(left[0] + left[1] <= 2 && open(&single) == single.len(), "{left:?} {}", open(&single));
    // One that is slow ends before another's idle one, its client being no better known.
    newcomers.extend(many(&places, 1, from(500), Phase::Idle));
    newcomers.extend(many(&places, 1, from(501), Phase::Idle));
    newcomers.extend(many(&places, 1, from(502), Phase::Idle));
    assert!(open(&single) < single.len());
}

#[tokio::test(start_paused = true)]
async fn b3_requests_that_are_on_time_end_for_nobody_with_fewer_places_of_their_own() {
    let places = opened(ConnectionLimits { all: 8, reserved: 0, per_address: 0, ..LIMITS });
    let single: Vec<_> = (0..8).flat_map(|number| many(&places, 1, from(number), Phase::Sending)).collect();
    assert!(places.admit(from(9)).is_none(), "all are on time, and each address has one");
    drop(single);
    let flood = many(&places, 8, from(0), Phase::Receiving);
    assert!(places.admit(from(9)).is_some(), "an address that has them all loses one at once");
    assert_eq!(open(&flood), 7);
}

#[tokio::test(start_paused = true)]
async fn b3_no_address_has_more_than_a_quarter_of_a_small_listener_unless_it_is_known() {
    // The watch listener reserves nothing.
    let places = opened(ConnectionLimits { all: 64, reserved: 0, per_address: 256, ..LIMITS });
    let flood = many(&places, 16, from(1), Phase::Answering);
    assert!(places.admit(from(1)).is_none());
    assert!(places.admit(from(2)).is_some());
    flood[0].proved(Proof::Manager(ManagerId(1)));
    assert!(places.admit(from(1)).is_some(), "a manager's address has what the setting says");
    drop(flood);
    let flood = many(&places, 300, from(3), Phase::Idle);
    assert_eq!(open(&flood), 16, "its own end for the next");
}

#[tokio::test(start_paused = true)]
async fn b3_a_provider_uses_the_reserve_for_a_day_and_a_session_for_an_hour() {
    for (proof, time) in [
        (Proof::Notice, 24 * SESSION_TIME_MAX),
        (Proof::SandboxNotice, 24 * SESSION_TIME_MAX),
        (Proof::Customer(CustomerId(1)), SESSION_TIME_MAX),
        (Proof::Manager(ManagerId(1)), SESSION_TIME_MAX),
    ] {
        let places = opened(LIMITS);
        let known = of("203.0.113.7");
        places.admit(known).unwrap().proved(proof);
        let unknown: Vec<_> = (0..16).flat_map(|number| many(&places, 1, from(number), Phase::Answering)).collect();
        assert!(places.admit(from(99)).is_none(), "the reserve is not for unknown addresses");
        assert!(places.admit(Newcomer { limited: false, ..of("127.0.0.1") }).is_none(), "nor for who may be a proxy");
        assert!(places.admit(known).is_some());
        assert!(places.admit(proxy()).is_some(), "a trusted proxy may use it");
        tokio::time::advance(time - Duration::from_millis(1)).await;
        assert!(places.admit(known).is_some());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(places.admit(known).is_none(), "it is unknown again");
        // One that proves itself while it is open leaves a place to others.
        unknown[0].proved(proof);
        assert!(places.admit(from(99)).is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn b3_each_proof_counts_from_its_own_time_and_the_end_of_a_connection_proves_nothing() {
    let session = Proof::Customer(CustomerId(1));
    for (waits, is_known) in [([50, 20, 0], true), ([0, 180, 0], false), ([50, 0, 61], false)] {
        let places = opened(LIMITS);
        let known = of("203.0.113.7");
        let kept = places.admit(known).unwrap();
        kept.proved(session);
        kept.enter(Phase::Answering);
        pass(Duration::from_mins(waits[0]), &places).await;
        if waits[0] > 0 {
            kept.proved(session);
        }
        pass(Duration::from_mins(waits[1] + waits[2]), &places).await;
        drop(kept);
        let _unknown: Vec<_> = (0..16).flat_map(|number| many(&places, 1, from(number), Phase::Answering)).collect();
        assert_eq!(places.admit(known).is_some(), is_known, "{waits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn b3_what_proved_itself_lately_ends_last_of_its_address_and_after_an_hour_like_the_others() {
    let places = opened(ConnectionLimits { idle: Duration::from_secs(86_400), ..LIMITS });
    let mut kept = Vec::new();
    for proof in [Proof::Customer(CustomerId(1)), Proof::Nothing, Proof::Nothing] {
        let admitted = places.admit(from(1)).unwrap();
        admitted.proved(proof);
        admitted.enter(Phase::Idle);
        kept.push(admitted);
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    let fourth = places.admit(from(1)).unwrap();
    assert_eq!(kept.iter().map(|admitted| admitted.phase().is_some()).collect::<Vec<_>>(), [true, false, true]);
    fourth.enter(Phase::Answering);
    pass(SESSION_TIME_MAX, &places).await;
    let _fifth = places.admit(from(1)).unwrap();
    assert_eq!(kept.iter().map(|admitted| admitted.phase().is_some()).collect::<Vec<_>>(), [false, false, true]);
}

#[tokio::test(start_paused = true)]
async fn b3_one_customer_with_many_networks_leaves_the_reserve_to_others() {
    let limits = ConnectionLimits { all: 4_096, reserved: 1_024, per_address: 256, ..LIMITS };
    let places = opened(limits);
    let network = |number: usize| of(&format!("2001:db8:0:{number:x}::1"));
    let provider = of("203.0.113.7");
    places.admit(provider).unwrap().proved(Proof::Notice);
    places.admit(from(1)).unwrap().proved(Proof::Customer(CustomerId(2)));
    let mut held = Vec::new();
    for number in 0..4_096 {
        let admitted = places.admit(network(number)).unwrap();
        admitted.proved(Proof::Customer(CustomerId(1)));
        drop(admitted);
    }
    for _ in 0..256 {
        for number in 4_080..4_096 {
            let admitted = places.admit(network(number));
            answering(&admitted);
            held.extend(admitted);
        }
    }
    held.extend((0..64).flat_map(|number| {
        let admitted = (0..256).map_while(|_| places.admit(network(number))).collect::<Vec<_>>();
        answering(&admitted);
        admitted
    }));
    assert!(places.sizes().0 <= 4_096 - 1_024 + 8 * 16, "{}", places.sizes().0);
    assert!(places.admit(network(9_999)).is_none() && places.admit(from(77)).is_none());
    let _customer = places.admit(from(1)).expect("another customer");
    for _ in 0..500 {
        let admitted = places.admit(provider).expect("a provider has no limit of its own");
        admitted.enter(Phase::Answering);
        held.push(admitted);
    }
}

#[tokio::test(start_paused = true)]
async fn b3_customers_leave_a_quarter_of_the_reserve_to_providers_and_managers() {
    let places = opened(ConnectionLimits { all: 32, reserved: 16, per_address: 256, ..LIMITS });
    let provider = of("203.0.113.7");
    places.admit(provider).unwrap().proved(Proof::Notice);
    let mut customers = Vec::new();
    for number in 0..28 {
        let admitted = places.admit(from(number)).unwrap();
        admitted.proved(Proof::Customer(CustomerId(1 + number as u64)));
        customers.push(admitted);
    }
    answering(&customers);
    assert!(places.admit(from(3)).is_none(), "a customer who is known");
    assert_eq!(open(&many(&places, 4, provider, Phase::Answering)), 4);
}

#[tokio::test(start_paused = true)]
async fn b3_half_sent_heads_of_one_address_end_the_oldest_whatever_else_it_has() {
    // No limit of connections is one of heads all the same.
    for per_address in [1_000, 0] {
        let places = opened(ConnectionLimits { all: 5_000, reserved: 0, per_address, ..LIMITS });
        let idle = many(&places, 1, from(1), Phase::Idle);
        let heads: Vec<_> = (0..=HEADS_PER_ADDRESS_MAX).map(|_| places.admit(from(1)).unwrap()).collect();
        for admitted in &heads {
            admitted.bytes_came(1);
            // Further bytes of the same head count once.
            admitted.bytes_came(1);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!((open(&heads), heads[0].phase(), open(&idle)), (HEADS_PER_ADDRESS_MAX, None, 1));
        assert_eq!(places.counts.ended_so_far(), (0, 1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn b3_handshakes_are_no_heads() {
    let places = opened(ConnectionLimits { all: 5_000, reserved: 0, per_address: 256, ..LIMITS });
    let shaking = many(&places, 256, from(1), Phase::Handshake);
    tokio::time::advance(Duration::from_secs(4)).await;
    assert_eq!(open(&shaking), 256);
    let _further = many(&places, 1, from(1), Phase::Handshake);
    assert_eq!((open(&shaking), shaking[0].phase()), (255, None), "they are connections of their address");
}

#[tokio::test(start_paused = true)]
async fn n1_a_sweep_ends_what_waited_too_long_and_nothing_that_is_answered() {
    let places = opened(LIMITS);
    let phases = [Phase::Fresh, Phase::Idle, Phase::Head, Phase::Answering, Phase::Receiving, Phase::Sending];
    let all: Vec<_> = (0..6).flat_map(|number| many(&places, 1, from(number), phases[number])).collect();
    pass(HEADER_TIME_MAX - Duration::from_millis(1), &places).await;
    assert_eq!(open(&all), 6);
    pass(Duration::from_millis(1), &places).await;
    assert_eq!((open(&all), all[2].phase()), (5, None));
    pass(LIMITS.idle, &places).await;
    let left: Vec<_> = all.iter().filter_map(|admitted| admitted.phase()).collect();
    assert_eq!(left, [Phase::Answering, Phase::Receiving, Phase::Sending]);
    assert_eq!(places.counts.ended_so_far(), (0, 0, 3));
}

#[tokio::test(start_paused = true)]
async fn b3_a_distributed_crowd_shrinks_evenly_and_nobody_with_less_loses_anything() {
    let places = opened(ConnectionLimits { all: 4_096, reserved: 1_024, per_address: 256, ..LIMITS });
    let others: Vec<_> = (100..164).flat_map(|number| many(&places, 1, from(number), Phase::Idle)).collect();
    let crowd: Vec<_> = (0..16).map(|number| many(&places, 188, from(number), Phase::Fresh)).collect();
    assert_eq!(places.sizes().0, 3_072);
    let newcomers: Vec<_> = (200..1_000).flat_map(|number| many(&places, 1, from(number), Phase::Idle)).collect();
    assert_eq!((places.sizes().0, open(&others), open(&newcomers)), (3_072, 64, 800));
    assert!(crowd.iter().all(|of_one| open(of_one) == 188 - 50), "800 ended, 50 of each");
}

#[tokio::test(start_paused = true)]
async fn b3_behind_a_proxy_slow_clients_leave_places_to_others_and_to_who_is_known() {
    let places = opened(ConnectionLimits { all: 64, reserved: 32, per_address: 256, ..LIMITS });
    let provider = of("203.0.113.7");
    let first = places.admit(proxy()).unwrap();
    assert!(first.count_for(provider));
    first.proved(Proof::Notice);
    drop(first);
    let request = |client: Newcomer, phase: Phase| {
        let admitted = places.admit(proxy()).expect("the proxy's own connection");
        admitted.enter(phase);
        admitted.count_for(client).then_some(admitted)
    };
    let mut flood: Vec<_> = (0..16).map_while(|_| request(from(1), Phase::Receiving)).collect();
    assert_eq!(flood.len(), 8, "a quarter of what is not reserved");
    for number in 2..5 {
        flood.extend((0..8).map_while(|_| request(from(number), Phase::Receiving)));
    }
    assert_eq!((flood.len(), places.sizes().0), (32, 32));
    let other = request(from(9), Phase::Answering).expect("another client's ends one of the flood");
    assert_eq!(open(&flood), 31);
    // A place is the client's until the answer was sent, and the proxy's connection its own from then on.
    other.enter(Phase::Sending);
    other.answer_made();
    other.flushed();
    assert_eq!(other.phase(), Some(Phase::Idle));
    for admitted in &flood {
        admitted.enter(Phase::Answering);
    }
    let _last = request(from(9), Phase::Answering).unwrap();
    assert!(request(from(10), Phase::Answering).is_none(), "nobody waits");
    let verified: Vec<_> = (0..30).map_while(|_| request(provider, Phase::Answering)).collect();
    assert_eq!(verified.len(), 30, "webhooks have the reserve");
}
