//! What the queue of the log reports about itself, as lines of both formats: they pass by the formatter, because it is the
//! queue that was full.

use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use crate::log_lines::Report;

/// Level, message and count.
fn parts(report: Report) -> (&'static str, &'static str, u64) {
    match report {
        Report::Lost { lines } => ("WARN", "log lines were lost: the reader of the log did not take them", lines),
        Report::AccessLost { lines } => {
            ("WARN", "access lines were lost: the reader of the log did not take them", lines)
        }
        Report::Overflowed { lines } => {
            ("WARN", "security events are in var/security.log: the reader of the log did not take them", lines)
        }
        Report::SecurityLost { lines } => ("ERROR", "security events were lost: var/security.log takes no more", lines),
    }
}

fn now() -> String {
    let mut time = String::new();
    // A line without its time is better than none.
    let _ = SystemTime.format_time(&mut Writer::new(&mut time));
    time
}

pub(super) fn as_json(report: Report) -> String {
    let (level, message, lines) = parts(report);
    let time = now();
    format!(
        "{{\"timestamp\":\"{time}\",\"level\":\"{level}\",\"target\":\"log\",\"message\":\"{message}\",\"lines\":{lines}}}\n"
    )
}

pub(super) fn as_text(report: Report) -> String {
    let (level, message, lines) = parts(report);
    format!("{} {level:>5} log: {message} lines={lines}\n", now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k7_what_was_lost_is_one_line_of_either_format() {
        for report in [
            Report::Lost { lines: 42_000 },
            Report::AccessLost { lines: 42_000 },
            Report::Overflowed { lines: 42_000 },
            Report::SecurityLost { lines: 42_000 },
        ] {
            let json: serde_json::Value = serde_json::from_str(&as_json(report)).unwrap();
            assert_eq!((&json["target"], &json["lines"]), (&"log".into(), &42_000.into()));
            let text = as_text(report);
            assert!(text.ends_with(" lines=42000\n") && text.lines().count() == 1, "{text}");
            assert!(text.contains(json["message"].as_str().unwrap()), "{text}");
        }
    }
}
