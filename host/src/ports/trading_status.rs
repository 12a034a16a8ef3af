//! How well a trading server works, for whoever watches.

use cashier_core::ids::ServerName;
use cashier_core::time::UnixTime;

/// One trading server of the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TradingStatus {
    pub server: ServerName,
    /// How it is reached, such as `embedded` or `tcp`.
    pub protocol: &'static str,
    /// Why it cannot take postings now, a sentence for the operator; `None` while it can.
    pub problem: Option<Box<str>>,
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
    /// One line for a page that an operator reads.
    pub fn line(&self) -> String {
        let Self { server, protocol, problem, failing_since, is_cut_off, not_compared, compared_time } = self;
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
        format!("trading server {server} ({protocol}): {state}{compared}")
    }
}
