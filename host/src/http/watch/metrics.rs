//! The metrics of a whole cashier, and the page of metrics in the text format of Prometheus.

use crate::flows::{Cashier, configure};
use crate::http::connection_counts::{LISTENERS, ListenerCounts};
use crate::http::parser_refusals;
use crate::http::reply::Reply;
use crate::http::watch::module_health::ModuleHealthReport;
use crate::log_lines;
use crate::ports::{NewestAudit, TradingStatus};

const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A gauge of `/metrics`, and whom it asks.
#[derive(Debug)]
pub struct Metric<S = Cashier> {
    pub name: &'static str,
    pub help: &'static str,
    /// `None` when it cannot be counted: the metric is left out, because a zero would be wrong.
    pub(in crate::http) value: fn(&S) -> Option<usize>,
}

/// Everything that `/metrics` shows.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "cashier_ledger_open",
        help: "Whether decisions can be made.",
        value: |cashier| Some(usize::from(cashier.ledger.is_open())),
    },
    Metric {
        name: "cashier_ledger_hold_max_us",
        help: "The longest hold of the books since the start, in microseconds.",
        value: |cashier| usize::try_from(cashier.ledger.longest_hold_us()).ok(),
    },
    Metric {
        name: "cashier_ledger_hold_recent_max_us",
        help: "The longest hold of the books since the last scrape, in microseconds.",
        value: |cashier| usize::try_from(cashier.ledger.take_recent_hold_us()).ok(),
    },
    Metric {
        name: "cashier_database_held",
        help: "Whether writing waits because another program holds cashier.db.",
        value: |cashier| Some(usize::from(cashier.ledger.busy().is_some())),
    },
    Metric {
        name: "cashier_trading_ready",
        help: "Whether the trading server takes postings.",
        value: |cashier| Some(usize::from(cashier.trading.readiness().is_ok())),
    },
    Metric {
        name: "cashier_transactions",
        help: "Transactions in memory.",
        value: |cashier| cashier.ledger.peek(|books| books.transactions()).ok(),
    },
    Metric {
        name: "cashier_duties",
        help: "Transactions with unfinished work.",
        value: |cashier| cashier.ledger.peek(|books| books.unsettled_count()).ok(),
    },
    Metric {
        name: "cashier_unreadable_notices",
        help: "Authentic webhooks that no build of their module has understood yet.",
        value: |cashier| cashier.ledger.peek(|books| books.unread().len()).ok(),
    },
    Metric {
        name: "cashier_unmatched_payments",
        help: "Payments, refunds and disputes whose transaction never appeared.",
        value: |cashier| cashier.ledger.peek(|books| books.unmatched().len()).ok(),
    },
    Metric {
        name: "cashier_rows_without_match",
        help: "Enabled configs and overrides that can match nothing.",
        value: |cashier| Some(configure::rows_without_match(cashier).len()),
    },
    Metric {
        name: "cashier_webhooks_rejected",
        help: "Webhooks that failed verification since the start.",
        value: |cashier| usize::try_from(cashier.counted_notices().0).ok(),
    },
    Metric {
        name: "cashier_webhooks_limited",
        help: "Webhooks answered 429 since the start, because too many fail verification.",
        value: |cashier| usize::try_from(cashier.counted_notices().1).ok(),
    },
    Metric {
        name: "cashier_manager_anonymous",
        help: "Messages to the manager listener without a valid token since the start.",
        value: |cashier| usize::try_from(cashier.counted_refusals().0).ok(),
    },
    Metric {
        name: "cashier_refusals_not_recorded",
        help: "Refused commands of managers without a record of their own, since the start.",
        value: |cashier| usize::try_from(cashier.counted_refusals().1).ok(),
    },
    Metric {
        name: "cashier_list_bytes_held",
        help: "Bytes that lists hold until their readers have taken them.",
        value: |cashier| Some(cashier.list_bytes_held()),
    },
    Metric {
        name: "cashier_clock_plausible",
        help: "Whether the system clock is believed; while it is not, nothing expires.",
        value: |cashier| Some(usize::from(cashier.clock.is_plausible())),
    },
    Metric {
        name: "cashier_modules_refused",
        help: "Modules that plugins.toml enables and that cannot be used.",
        value: |cashier| Some(ModuleHealthReport::of(cashier).refused),
    },
    Metric {
        name: "cashier_gateways_failing",
        help: "Gateways that did not open, have an open circuit breaker, refused credentials or calls that do not return.",
        value: |cashier| Some(ModuleHealthReport::of(cashier).failing),
    },
    Metric {
        name: "cashier_log_lines_lost",
        help: "Log lines that the reader of standard error did not take, since the start.",
        value: |_| Some(log_lines::lost()),
    },
    Metric {
        name: "cashier_requests_refused_by_parser",
        help: "Requests since the start that were not HTTP.",
        value: |_| Some(parser_refusals::counted()),
    },
];

/// What `/metrics` shows of the chain of audit records, with the hash as the label `hash`: one sample, whatever the number of
/// records.
pub const AUDIT_METRICS: &[Metric<NewestAudit>] = &[Metric {
    name: "cashier_audit_newest",
    help: "Number of the newest audit record on disk; the label is its hash.",
    value: |newest| usize::try_from(newest.record).ok(),
}];

/// What `/metrics` shows of each listener, from the first second of a start on.
pub const CONNECTION_METRICS: &[Metric<ListenerCounts>] = &[
    Metric {
        name: "cashier_connections_open",
        help: "Open connections of each listener.",
        value: |counts| Some(counts.open_now()),
    },
    Metric {
        name: "cashier_connections_refused",
        help: "Connections, and requests that a proxy passed on, refused since the start because there were too many.",
        value: |counts| Some(counts.refused_so_far()),
    },
    Metric {
        name: "cashier_connections_ended_for_others",
        help: "Connections ended since the start because another needed their place.",
        value: |counts| Some(counts.ended_so_far().0),
    },
    Metric {
        name: "cashier_connections_ended_by_address",
        help: "Connections ended since the start because their address had too many, or too many half-sent heads.",
        value: |counts| Some(counts.ended_so_far().1),
    },
    Metric {
        name: "cashier_connections_ended_by_time",
        help: "Connections ended since the start because they waited too long or their head came too slowly.",
        value: |counts| Some(counts.ended_so_far().2),
    },
];

/// What `/metrics` shows of each trading server.
pub const TRADING_METRICS: &[Metric<TradingStatus>] = &[
    Metric {
        name: "cashier_trading_server_ready",
        help: "Whether each trading server takes postings.",
        value: |status| Some(usize::from(status.takes_postings())),
    },
    Metric {
        name: "cashier_trading_server_remark",
        help: "Whether something of each trading server is to be looked at although it answers.",
        value: |status| Some(usize::from(status.remark.is_some())),
    },
    Metric {
        name: "cashier_trading_server_cut_off",
        help: "Whether the circuit breaker of each trading server is open.",
        value: |status| Some(usize::from(status.is_cut_off)),
    },
    Metric {
        name: "cashier_trading_server_not_compared",
        help: "Whether postings of each trading server were not compared with the books since the start, or differ.",
        value: |status| Some(usize::from(status.not_compared.is_some())),
    },
];

/// The page of a whole cashier.
pub(super) fn of_cashier(cashier: &Cashier) -> Reply {
    let newest = cashier.ledger.newest_audit();
    let newest = newest.map(|newest| audit(&newest)).unwrap_or_default();
    page(cashier, METRICS, &(newest + &trading(&cashier.trading.status())))
}

fn audit(newest: &NewestAudit) -> String {
    let line = |Metric { name, help, value }: &Metric<NewestAudit>| {
        let value = value(newest)?;
        Some(format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name}{{hash=\"{}\"}} {value}\n", newest.hash))
    };
    AUDIT_METRICS.iter().filter_map(line).collect()
}

fn trading(servers: &[TradingStatus]) -> String {
    let lines = |Metric { name, help, value }: &Metric<TradingStatus>| {
        let sample = |status: &TradingStatus| {
            let value = value(status)?;
            Some(format!("{name}{{server=\"{}\"}} {value}\n", status.server))
        };
        let samples: String = servers.iter().filter_map(sample).collect();
        format!("# HELP {name} {help}\n# TYPE {name} gauge\n{samples}")
    };
    TRADING_METRICS.iter().map(lines).collect()
}

/// The page of these metrics.
pub(in crate::http) fn metrics<S>(source: &S, metrics: &[Metric<S>]) -> Reply {
    page(source, metrics, "")
}

/// With what has labels of its own behind them.
fn page<S>(source: &S, metrics: &[Metric<S>], labelled: &str) -> Reply {
    let line = |Metric { name, help, value }: &Metric<S>| {
        let value = value(source)?;
        Some(format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n"))
    };
    let whole: String = metrics.iter().filter_map(line).collect();
    Reply::text(200, PROMETHEUS, whole + labelled + &connections())
}

fn connections() -> String {
    let lines = |Metric { name, help, value }: &Metric<ListenerCounts>| {
        let sample = |counts: &ListenerCounts| {
            let value = value(counts)?;
            Some(format!("{name}{{listener=\"{}\"}} {value}\n", counts.name))
        };
        let samples: String = LISTENERS.iter().filter_map(sample).collect();
        format!("# HELP {name} {help}\n# TYPE {name} gauge\n{samples}")
    };
    CONNECTION_METRICS.iter().map(lines).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_audit_record_is_one_sample_with_its_hash_as_the_label() {
        let newest = NewestAudit { record: 41, hash: "5d".repeat(32).into() };
        let expected = format!(
            "# HELP cashier_audit_newest Number of the newest audit record on disk; the label is its hash.\n\
             # TYPE cashier_audit_newest gauge\ncashier_audit_newest{{hash=\"{}\"}} 41\n",
            newest.hash
        );
        assert_eq!(audit(&newest), expected);
    }
}
