//! Lines about requests of anyone: so many a minute for each address and in all, the rest counted.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use cashier_core::network::network_of;
use cashier_core::time::UnixTime;

/// Lines of one address in a minute: enough to see what it tries.
const ANONYMOUS_PER_ADDRESS_MAX: u32 = 10;

/// Lines of all addresses in a minute: 400 bytes each, a day of a whole botnet is 350 MB for the reader of the log.
const ANONYMOUS_PER_MINUTE: u32 = 600;

/// What was logged in the current minute.
#[derive(Default)]
pub struct AnonymousLines(Mutex<CountedMinute>);

#[derive(Default)]
struct CountedMinute {
    number: i64,
    lines: u32,
    of_address: BTreeMap<Box<str>, u32>,
    suppressed: u64,
}

impl AnonymousLines {
    /// Whether one more line of this address is logged, and how many were not in the minutes before, to be logged once.
    pub fn admit(&self, from: &str, now: UnixTime) -> (bool, u64) {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = now.0.div_euclid(60);
        let mut before = 0;
        if number != minute.number {
            before = minute.suppressed;
            *minute = CountedMinute { number, ..CountedMinute::default() };
        }
        let network = network(from);
        let of_address = minute.of_address.get(&network).copied().unwrap_or_default();
        let is_logged = minute.lines < ANONYMOUS_PER_MINUTE && of_address < ANONYMOUS_PER_ADDRESS_MAX;
        if is_logged {
            // Bounded with the lines: an address is remembered for a line of its own alone.
            minute.lines += 1;
            minute.of_address.insert(network, of_address + 1);
        } else {
            minute.suppressed += 1;
        }
        (is_logged, before)
    }
}

fn network(from: &str) -> Box<str> {
    from.parse().map_or_else(|_| from.into(), |address| network_of(address).to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(lines: &AnonymousLines, from: impl Fn(u32) -> String, sent: u32, now: i64) -> u32 {
        (0..sent).map(|number| u32::from(lines.admit(&from(number), UnixTime(now)).0)).sum()
    }

    #[test]
    fn k7_anonymous_requests_have_so_many_lines_a_minute_and_the_rest_is_counted() {
        let lines = AnonymousLines::default();
        assert_eq!(admitted(&lines, |_| "192.0.2.1".into(), 170_000, 60), ANONYMOUS_PER_ADDRESS_MAX);
        let of_one_network = admitted(&lines, |number| format!("2001:db8::{number:x}"), 5_000, 61);
        assert_eq!(of_one_network, ANONYMOUS_PER_ADDRESS_MAX);
        let of_all = admitted(&lines, |number| format!("10.0.{}.{}", number / 256, number % 256), 5_000, 119);
        assert_eq!(of_all, ANONYMOUS_PER_MINUTE - 2 * ANONYMOUS_PER_ADDRESS_MAX);
        let known = lines.0.lock().unwrap().of_address.len();
        assert_eq!(known, 582, "memory is bounded with the lines");
        let suppressed = u64::from(170_000 + 5_000 + 5_000 - ANONYMOUS_PER_MINUTE);
        assert_eq!(lines.admit("192.0.2.1", UnixTime(120)), (true, suppressed));
        assert_eq!(lines.admit("192.0.2.1", UnixTime(120)), (true, 0), "counted once");
    }
}
