//! Places of connections by counts: who gets one, who loses one, and that every place is given back.

use super::*;

const LIMITS: ConnectionLimits =
    ConnectionLimits { all: 10, reserved: 4, per_address: 3, idle: Duration::from_secs(75) };

fn of(address: &str) -> Newcomer {
    Newcomer { address: address.parse().unwrap(), limited: true, trusted: false }
}

fn from(number: usize) -> Newcomer {
    of(&format!("198.51.100.{number}"))
}

fn phase(admitted: &AdmittedConnection) -> Phase {
    admitted.connection().phase().0
}

fn busy(admitted: &AdmittedConnection) {
    assert!(admitted.connection().step(&[Phase::Fresh, Phase::Idle, Phase::Head], Phase::Busy));
}

#[tokio::test(start_paused = true)]
async fn b3_places_are_given_back_and_nothing_is_remembered_of_an_unknown_address() {
    let places = Connections::new(LIMITS);
    for number in 0..1_000 {
        let admitted = places.admit(from(number % 250)).unwrap();
        admitted.head_begun();
        if number % 2 == 0 {
            busy(&admitted);
        }
        let second = Arc::clone(&admitted);
        drop(admitted);
        assert_eq!(places.counts().0, 1, "the place is the connection's until its last part is gone");
        drop(second);
    }
    assert_eq!(places.counts(), (0, 0));
    drop(places.begin_request("203.0.113.5".parse().unwrap()).unwrap());
    assert_eq!(places.counts(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn b3_the_connection_that_ends_for_another_is_the_longest_waiting_of_the_address_with_most() {
    let places = Connections::new(LIMITS);
    let mut open = Vec::new();
    for address in [1, 2, 2, 3, 3, 3] {
        open.push(places.admit(from(address)).unwrap());
        tokio::time::advance(Duration::from_millis(10)).await;
    }
    busy(&open[3]);
    let newcomer = places.admit(from(4)).expect("another ends for it");
    let ended: Vec<usize> = (0..6).filter(|place| phase(&open[*place]) == Phase::Ended).collect();
    assert_eq!(ended, [4], "the oldest of address 3 is being answered");
    drop(newcomer);
    for admitted in &open {
        admitted.connection().step(&[Phase::Fresh], Phase::Busy);
    }
    let last = places.admit(from(5)).unwrap();
    busy(&last);
    assert!(places.admit(from(6)).is_none(), "nobody waits, so nobody ends");
}

#[tokio::test(start_paused = true)]
async fn b3_an_address_that_proved_itself_uses_the_reserve_for_an_hour() {
    let places = Connections::new(LIMITS);
    let provider = of("203.0.113.7");
    places.admit(provider).unwrap().proved();
    let unknown: Vec<_> = (0..6).map(|number| places.admit(from(number)).unwrap()).collect();
    unknown.iter().for_each(|admitted| busy(admitted));
    assert!(places.admit(from(9)).is_none(), "the reserve is not for unknown addresses");
    assert!(places.admit(Newcomer { limited: false, ..of("127.0.0.1") }).is_none(), "nor for who may be a proxy");
    assert!(places.admit(provider).is_some());
    assert!(
        places.admit(Newcomer { trusted: true, limited: false, ..from(9) }).is_some(),
        "a trusted proxy may use it"
    );
    tokio::time::advance(KNOWN_TIME_MAX).await;
    assert!(places.admit(provider).is_none(), "an hour later it is unknown again");
    // One that proves itself while it is open leaves a place to others.
    unknown[0].proved();
    assert!(places.admit(from(9)).is_some());
}

#[tokio::test(start_paused = true)]
async fn b3_half_sent_heads_of_one_address_end_the_oldest_whatever_else_it_has() {
    let places = Connections::new(ConnectionLimits { all: 1_000, reserved: 0, per_address: 1_000, ..LIMITS });
    let idle = places.admit(from(1)).unwrap();
    busy(&idle);
    assert!(idle.connection().step(&[Phase::Busy], Phase::Idle));
    let heads: Vec<_> = (0..=HEADS_PER_ADDRESS_MAX).map(|_| places.admit(from(1)).unwrap()).collect();
    for admitted in &heads {
        admitted.head_begun();
        // Further bytes of the same head count once.
        admitted.head_begun();
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    let ended = heads.iter().filter(|admitted| phase(admitted) == Phase::Ended).count();
    assert_eq!((ended, phase(&heads[0]), phase(&idle)), (1, Phase::Ended, Phase::Idle));
    assert_eq!(heads[1].connection().heads(), HEADS_PER_ADDRESS_MAX);
    drop(heads);
    assert_eq!(idle.connection().heads(), 0);
}

#[tokio::test(start_paused = true)]
async fn n1_a_sweep_ends_what_waited_too_long_and_nothing_that_is_answered() {
    let places = Connections::new(LIMITS);
    let (fresh, idle, head, answered) =
        (places.admit(from(1)), places.admit(from(2)), places.admit(from(3)), places.admit(from(4)));
    let [fresh, idle, head, answered] = [fresh, idle, head, answered].map(Option::unwrap);
    head.head_begun();
    busy(&idle);
    busy(&answered);
    assert!(idle.connection().step(&[Phase::Busy], Phase::Idle));
    tokio::time::advance(HEADER_TIME_MAX - Duration::from_millis(1)).await;
    places.sweep();
    assert_eq!(places.counts().0, 4);
    tokio::time::advance(Duration::from_millis(1)).await;
    places.sweep();
    assert_eq!((places.counts().0, phase(&head)), (3, Phase::Ended));
    tokio::time::advance(LIMITS.idle).await;
    places.sweep();
    assert_eq!((places.counts().0, phase(&fresh), phase(&idle)), (1, Phase::Ended, Phase::Ended));
    assert_eq!(phase(&answered), Phase::Busy);
}

#[tokio::test(start_paused = true)]
async fn b3_a_crowd_of_one_unknown_address_ends_in_parts_and_nobody_else_does() {
    let places = Connections::new(ConnectionLimits { all: 1_000, reserved: 0, per_address: 0, ..LIMITS });
    let others: Vec<_> = (0..100).map(|number| places.admit(from(number)).unwrap()).collect();
    tokio::time::advance(Duration::from_secs(1)).await;
    let crowd: Vec<_> = (0..900).map(|_| places.admit(of("203.0.113.9")).unwrap()).collect();
    assert_eq!(places.counts().0, 1_000);
    let newcomer = places.admit(from(200)).unwrap();
    assert_eq!(places.counts().0, 1_000 - 900 / CROWD_PART + 1);
    assert!(others.iter().all(|admitted| phase(admitted) == Phase::Fresh), "although they have waited longer");
    let ended: Vec<bool> = crowd.iter().map(|admitted| phase(admitted) == Phase::Ended).collect();
    assert!(ended.iter().take(112).all(|ended| *ended) && !ended.iter().skip(112).any(|ended| *ended), "the oldest");
    drop(newcomer);
}
