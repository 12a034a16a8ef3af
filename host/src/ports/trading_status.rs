//! How well a trading server works, for whoever watches.

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
                let since =
                    if *failing_since == UnixTime::UNSET { String::new() } else { format!(" since {failing_since}") };
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
