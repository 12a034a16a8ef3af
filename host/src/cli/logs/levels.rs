//! What CASHIER_LOG says: levels, such as `info` or `cashier_host::flows=debug,access=off`. A value that names no level would
//! silence everything, so the default takes its place, and a WARN line says so.

use tracing_subscriber::EnvFilter;

use crate::text_file::trimmed;

/// Levels by name, as they are written for everything.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Targets of our own that may stand without a level: all of their lines.
const OWN_TARGETS: [&str; 3] = ["cashier_host", "access", "security"];

/// The filter that a value asks for, and why it is the default's instead.
pub(super) fn filter(written: Option<&str>, default: &str) -> (EnvFilter, Option<String>) {
    let Some(written) = written else { return (EnvFilter::new(default), None) };
    match understood(written) {
        Ok(filter) => (filter, None),
        Err(problem) => (EnvFilter::new(default), Some(problem)),
    }
}

fn understood(written: &str) -> Result<EnvFilter, String> {
    let directives: Vec<&str> = written.split(',').map(trimmed).filter(|directive| !directive.is_empty()).collect();
    if directives.is_empty() {
        return Err("it is empty".into());
    }
    // A word that is no level is a target with all of its lines, and nothing else is logged: a misspelt level.
    if let Some(word) = directives.iter().find(|directive| !is_plausible(directive)) {
        return Err(format!("{word:?} is neither a level ({}) nor TARGET=LEVEL", LEVELS.join(", ")));
    }
    EnvFilter::try_new(directives.join(",")).map_err(|error| error.to_string())
}

fn is_plausible(directive: &str) -> bool {
    let is_level = |word: &str| LEVELS.iter().any(|level| word.eq_ignore_ascii_case(level));
    match directive.rsplit_once('=') {
        Some((target, level)) => !target.is_empty() && is_level(level),
        None => is_level(directive) || OWN_TARGETS.contains(&directive) || directive.starts_with("cashier_host::"),
    }
}

/// Whether a directive is about this target itself, and not about one whose name contains it.
pub(super) fn names_target(written: &str, target: &str) -> bool {
    written.split(',').any(|directive| directive.split(['=', '[']).next().map(trimmed) == Some(target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i2_only_a_directive_of_a_target_names_it() {
        for written in ["security=off", "warn, security = error", "security", "security[span]=warn"] {
            assert!(names_target(written, "security"), "{written}");
        }
        for written in ["", "error,cashier_host::security_log=debug", "insecurity=off", "security_log=off"] {
            assert!(!names_target(written, "security"), "{written}");
        }
    }

    #[test]
    fn i2_levels_that_cannot_be_understood_are_the_default_and_said() {
        for (written, as_filter) in [
            ("info", "info"),
            ("info\n", "info"),
            ("warn ", "warn"),
            ("\u{feff} WARN\r\n", "warn"),
            ("info, cashier_host::flows = debug", ""),
            ("info, cashier_host::flows=debug ,", "cashier_host::flows=debug,info"),
            ("off", "off"),
            ("access=off,debug", "access=off,debug"),
            ("cashier_host::strand", "cashier_host::strand=trace"),
        ] {
            let (filter, problem) = filter(Some(written), "error");
            match as_filter {
                "" => assert!(problem.is_some(), "{written:?}"),
                expected => assert_eq!((filter.to_string(), problem), (expected.into(), None), "{written:?}"),
            }
        }
        for written in
            ["", " ", "\n", "nonsense==", "inof", "infoo", "=info", "info=", "a=b=c", "2", "info;debug", "\u{fffd}"]
        {
            let (filter, problem) = filter(Some(written), "warn");
            assert_eq!(filter.to_string(), "warn", "{written:?}");
            assert!(problem.is_some(), "{written:?}");
        }
        assert!(filter(None, "info").1.is_none());
    }
}
