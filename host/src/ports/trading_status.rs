//! How well a trading server works, for whoever watches.

use std::time::{Duration, SystemTime};

use cashier_core::ids::ServerName;
use cashier_core::time::UnixTime;

/// One trading server of the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TradingStatus {
    pub server: ServerName,
    /// How it is reached, such as `embedded` or `tcp`.
    pub protocol: &'static str,
    /// Why nothing can be posted to it now, a sentence for the operator; `None` while something can.
    pub problem: Option<Box<str>>,
    /// What of it an operator may want to look at although it answers, such as one call that failed.
    pub remark: Option<Box<str>>,
    /// Since when it has not answered; unset while it does.
    pub failing_since: UnixTime,
    /// The circuit breaker is open: nothing is sent but for one try from time to time.
    pub is_cut_off: bool,
    /// Why its postings do not agree with the books, or that they were not compared yet; `None` while they agree.
    pub not_compared: Option<Box<str>>,
    /// When its postings were compared with the books last; unset for the embedded server, which every start compares, and while
    /// that was not done since the start.
    pub compared_time: UnixTime,
}

impl TradingStatus {
    /// Whether something can be posted to it now.
    pub fn takes_postings(&self) -> bool {
        self.problem.is_none()
    }

    /// One line for a page that an operator reads.
    pub fn line(&self) -> String {
        let Self { server, protocol, problem, remark, failing_since, is_cut_off, not_compared, compared_time } = self;
        let state = match problem {
            None => "takes postings".to_owned(),
            Some(problem) => {
                let since = if *failing_since == UnixTime::UNSET {
                    String::new()
                } else {
                    format!(" since {}", date(*failing_since))
                };
                let cut_off = if *is_cut_off { "; its circuit breaker is open" } else { "" };
                format!("takes no postings{since}: {problem}{cut_off}")
            }
        };
        let compared = not_compared.as_ref().map_or(String::new(), |why| match *compared_time == UnixTime::UNSET {
            true => format!("; not compared with the books: {why}"),
            false => format!("; differs from the books: {why}"),
        });
        let remark = remark.as_ref().map_or(String::new(), |remark| format!("; to be looked at: {remark}"));
        format!("trading server {server} ({protocol}): {state}{compared}{remark}")
    }
}

/// The last second of the year 9999.
const LAST_DATE_SECONDS: u64 = 253_402_300_799;

/// A time for a person, in UTC.
pub fn date(time: UnixTime) -> String {
    let seconds = u64::try_from(time.0).unwrap_or_default().min(LAST_DATE_SECONDS);
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).map_or_else(String::new, httpdate::fmt_http_date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_date_for_a_person_whatever_it_is() {
        assert_eq!(date(UnixTime(1_796_075_388)), "Mon, 30 Nov 2026 21:49:48 GMT");
        for time in [i64::MIN, 0, i64::MAX] {
            assert!(date(UnixTime(time)).ends_with(" GMT"), "{time}");
        }
    }
}
