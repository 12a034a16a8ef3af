//! The guard over a machine whose clock, boot and record a test sets.

use std::sync::atomic::{AtomicI64, Ordering};

use super::*;

const NOW: i64 = 1_795_160_000;
const DAY: i64 = 86_400;

/// A machine that has run for a thousand seconds, and its record.
struct Machine {
    wall: AtomicI64,
    boot: AtomicI64,
    boot_id: Mutex<Box<str>>,
    record: Mutex<Option<ClockRecord>>,
    accepted: Mutex<Option<UnixTime>>,
    writes: AtomicI64,
    /// Seconds for which the machine is suspended after its clock was read.
    suspended: AtomicI64,
}

impl Machine {
    fn at(wall: i64) -> Arc<Self> {
        Arc::new(Self {
            wall: wall.into(),
            boot: 1_000.into(),
            boot_id: Mutex::new("first".into()),
            record: Mutex::default(),
            accepted: Mutex::default(),
            writes: 0.into(),
            suspended: 0.into(),
        })
    }

    fn recorded(wall: i64, newest: i64) -> Arc<Self> {
        let machine = Self::at(wall);
        *machine.record.lock().unwrap() = Some(ClockRecord { newest: UnixTime(newest), ..ClockRecord::default() });
        machine
    }

    fn guard(self: &Arc<Self>) -> GuardedClock {
        GuardedClock::open(Arc::clone(self) as _, Arc::clone(self) as _)
    }

    /// This many seconds pass.
    fn pass(&self, seconds: i64) {
        self.boot.fetch_add(seconds, Ordering::SeqCst);
        self.jump(seconds);
    }

    fn jump(&self, seconds: i64) {
        self.wall.fetch_add(seconds, Ordering::SeqCst);
    }

    fn newest(&self) -> Option<i64> {
        self.record.lock().unwrap().as_ref().map(|record| record.newest.0)
    }
}

impl Clock for Machine {
    fn now(&self) -> UnixTime {
        let wall = self.wall.load(Ordering::SeqCst);
        self.pass(self.suspended.swap(0, Ordering::SeqCst));
        UnixTime(wall)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.boot.load(Ordering::SeqCst).unsigned_abs())
    }

    fn boot_id(&self) -> Box<str> {
        self.boot_id.lock().unwrap().clone()
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

impl ClockStore for Machine {
    fn read(&self) -> Result<Option<ClockRecord>, Fault> {
        Ok(self.record.lock().unwrap().clone())
    }

    fn write(&self, record: &ClockRecord) -> Result<(), Fault> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        *self.record.lock().unwrap() = Some(record.clone());
        Ok(())
    }

    fn take_accepted(&self) -> Option<UnixTime> {
        self.accepted.lock().unwrap().take()
    }
}

#[test]
fn a_start_is_judged_by_the_record() {
    let table = [
        ("as recorded", NOW, true),
        ("a minute back", NOW - 60, true),
        ("at the largest step back", NOW - CLOCK_STEP_MAX, true),
        ("beyond it", NOW - CLOCK_STEP_MAX - 1, false),
        ("1970", 5, false),
        ("after some minutes off", NOW + CLOCK_STEP_MAX, true),
        ("after more than a week off", NOW + CLOCK_GAP_MAX + 1, false),
        ("years ahead", NOW + 3_000 * DAY, false),
    ];
    for (what, wall, plausible) in table {
        let machine = Machine::recorded(wall, NOW);
        let clock = machine.guard();
        assert_eq!(clock.is_plausible(), plausible, "{what}");
        assert_eq!(clock.now().0, if plausible { wall } else { NOW }, "{what}");
        assert_eq!(clock.wall().0, wall, "{what}");
    }
}

#[test]
fn a_first_start_is_implausible_before_the_program_was_written() {
    let machine = Machine::at(5);
    let clock = machine.guard();
    assert!(!clock.is_plausible() && clock.now().0 == EARLIEST);
    machine.pass(10);
    assert_eq!((clock.now().0, machine.newest()), (EARLIEST + 10, None), "stamps go on, nothing is recorded");
    machine.jump(NOW);
    assert!(clock.is_plausible() && clock.now().0 == NOW + 15);
    assert!(Machine::at(NOW + 400 * DAY).guard().is_plausible(), "nothing speaks against it");
}

#[test]
fn m23_a_month_ahead_is_implausible_until_it_is_set_back_and_is_not_recorded() {
    let machine = Machine::at(NOW);
    let clock = machine.guard();
    machine.pass(100);
    clock.observe();
    assert_eq!(machine.newest(), Some(NOW + 100));
    machine.jump(30 * DAY);
    for _ in 0..70 {
        machine.pass(60);
        clock.observe();
    }
    assert!(!clock.is_plausible());
    assert_eq!((clock.now().0, machine.newest()), (NOW + 4_300, Some(NOW + 100)));
    machine.jump(-30 * DAY);
    assert!(clock.is_plausible() && clock.now().0 == NOW + 4_300);
    clock.observe();
    assert_eq!(machine.newest(), Some(NOW + 4_300));
}

#[test]
fn a_restart_in_one_boot_does_not_hide_a_jump() {
    let machine = Machine::at(NOW);
    machine.guard();
    machine.jump(2 * DAY);
    assert!(!machine.guard().is_plausible(), "two days ahead in one boot");
    *machine.boot_id.lock().unwrap() = "second".into();
    let clock = machine.guard();
    assert!(!clock.is_plausible(), "was the machine off for two days?");
    machine.pass(CLOCK_CONFIRM_SECONDS);
    assert!(clock.is_plausible(), "its clock runs on");
}

#[test]
fn many_small_steps_are_one_large_one() {
    let machine = Machine::at(NOW);
    let clock = machine.guard();
    for _ in 0..10 {
        machine.pass(60);
        machine.jump(5 * 60);
        clock.observe();
    }
    assert!(!clock.is_plausible(), "fifty minutes in ten");
    let slow = Machine::at(NOW);
    let clock = slow.guard();
    for _ in 0..1_000 {
        slow.pass(600);
        slow.jump(5);
        clock.observe();
    }
    assert!(clock.is_plausible(), "a clock that runs half a percent fast");
}

#[test]
fn the_record_is_written_once_a_minute() {
    let machine = Machine::at(NOW);
    let clock = machine.guard();
    for _ in 0..600 {
        machine.pass(1);
        clock.observe();
    }
    assert_eq!(machine.writes.load(Ordering::SeqCst), 11);
}

#[test]
fn an_operator_accepts_a_clock_and_what_was_stamped_ahead_is_known() {
    let machine = Machine::recorded(NOW - 2 * 3_600, NOW);
    let clock = machine.guard();
    assert!(!clock.is_plausible());
    *machine.accepted.lock().unwrap() = Some(UnixTime(NOW - 2 * 3_600));
    clock.observe();
    assert!(clock.is_plausible() && clock.now().0 == NOW - 2 * 3_600);
    assert_eq!(clock.stamped_ahead_until().0, NOW);
    let again = machine.guard();
    assert!(again.is_plausible() && again.stamped_ahead_until().0 == NOW, "recorded");
}

#[test]
fn the_dates_of_providers_end_it_where_they_agree() {
    let far = |clock: &GuardedClock, host: &str, apart: i64| {
        let wall = clock.wall();
        clock.peer_stated(host, wall.plus(apart).0);
        clock.is_plausible()
    };
    let jumped = || {
        let machine = Machine::at(NOW);
        let clock = machine.guard();
        machine.jump(30 * DAY);
        clock.observe();
        clock
    };
    let clock = jumped();
    assert_eq!([("a", 0), ("b", 299)].map(|(host, apart)| far(&clock, host, apart)), [false, true], "two hosts");
    let clock = jumped();
    assert_eq!([0, 0, 0].map(|apart| far(&clock, "a", apart)), [false, false, true], "one host, three times");
    let clock = jumped();
    let mixed = [0, 0, -30 * DAY, 0, 0, 0].map(|apart| far(&clock, "a", apart));
    assert_eq!(mixed, [false, false, false, false, false, true], "one that disagrees begins the count anew");
    assert_eq!(clock.now().0, NOW + 30 * DAY);
}

#[test]
fn a_machine_suspended_between_two_readings_is_read_again() {
    let machine = Machine::at(NOW);
    let clock = machine.guard();
    machine.suspended.store(DAY, Ordering::SeqCst);
    assert_eq!((clock.now().0, clock.is_plausible()), (NOW + DAY, true));
    assert_eq!(clock.plausible_since(), UnixTime::UNSET, "no episode");
}

/// The machine was off, and its clock is a day later than recorded.
fn after_a_gap() -> (Arc<Machine>, GuardedClock) {
    let machine = Machine::recorded(NOW + DAY, NOW);
    let clock = machine.guard();
    (machine, clock)
}

#[test]
fn a_start_after_a_gap_stamps_by_its_clock_and_is_believed_after_half_an_hour() {
    for gap in [CLOCK_STEP_MAX + 1, DAY, CLOCK_GAP_MAX] {
        let machine = Machine::recorded(NOW + gap, NOW);
        let clock = machine.guard();
        machine.pass(CLOCK_CONFIRM_SECONDS - 1);
        clock.observe();
        assert_eq!((clock.now(), clock.is_plausible(), machine.newest()), (clock.wall(), false, Some(NOW)), "{gap}");
        machine.pass(1);
        clock.observe();
        assert_eq!((clock.is_plausible(), machine.newest()), (true, Some(clock.wall().0)), "{gap}");
        assert_eq!(clock.stamped_ahead_until(), UnixTime::UNSET, "{gap}");
    }
}

#[test]
fn a_boot_with_a_clock_days_ahead_that_is_set_right_is_never_recorded() {
    for back in [DAY - 60, DAY + 60] {
        let (machine, clock) = after_a_gap();
        machine.pass(600);
        let ahead = clock.now();
        machine.jump(-back);
        clock.observe();
        assert!(clock.is_plausible() && clock.now() == clock.wall(), "{back}");
        assert!(clock.stamped_ahead_until() >= ahead, "what was stamped meanwhile begins no window");
        assert_eq!(machine.newest(), Some(clock.wall().0), "{back}");
    }
    let (machine, clock) = after_a_gap();
    machine.pass(600);
    machine.jump(-2 * DAY);
    assert!(!clock.is_plausible());
    assert_eq!(clock.now().0, NOW + 600, "before the record: stamps go on from it");
}

#[test]
fn a_step_or_a_provider_that_disagrees_begins_the_half_hour_anew() {
    let (machine, clock) = after_a_gap();
    machine.pass(CLOCK_CONFIRM_SECONDS - 60);
    machine.jump(-DAY / 2);
    clock.observe();
    machine.pass(CLOCK_CONFIRM_SECONDS - 60);
    assert!(!clock.is_plausible(), "half a day of the day was off");
    machine.pass(60);
    assert!(clock.is_plausible());

    let (machine, clock) = after_a_gap();
    for _ in 0..5 {
        machine.pass(CLOCK_CONFIRM_SECONDS - 60);
        clock.peer_stated("a", clock.wall().0 - DAY);
        assert!(!clock.is_plausible());
    }
    machine.pass(CLOCK_CONFIRM_SECONDS);
    assert!(clock.is_plausible(), "it disagrees no more");
}

#[test]
fn providers_or_an_operator_end_the_half_hour() {
    let (_machine, clock) = after_a_gap();
    ["a", "b"].iter().for_each(|host| clock.peer_stated(host, clock.wall().0));
    assert!(clock.is_plausible());
    let (machine, clock) = after_a_gap();
    *machine.accepted.lock().unwrap() = Some(clock.wall());
    clock.observe();
    assert!(clock.is_plausible());
}
