//! `cashier modules`: the catalog that the server would load.

use cashier_core::printable::Printable;

use super::logs;
use super::settings_args::SettingsArgs;
use super::terminal::{CliError, print_line};
use crate::app;

pub(super) fn modules(args: &SettingsArgs) -> Result<(), CliError> {
    // What the system does not offer of the cage is a warning.
    let _guard = logs::start("warn");
    let settings = args.read()?;
    let lines = app::catalog(&settings)?;
    for line in &lines {
        let text = if line.available {
            let sha = line.sha256.get(..12).unwrap_or(&line.sha256);
            format!("{:<12} ready    contract {}  {}  {sha}", line.code, line.api_version, line.name)
        } else {
            format!("{:<12} refused  {}", line.module_name, line.failure_reason)
        };
        // On one line, whatever a module calls itself.
        print_line(&Printable(&text).to_string());
    }
    let refused: Vec<&str> = lines.iter().filter(|line| line.refused).map(|line| &*line.module_name).collect();
    if refused.is_empty() {
        return Ok(());
    }
    Err(CliError(format!(
        "plugins.toml enables {} that would be refused: {}",
        counted(refused.len()),
        refused.join(", ")
    )))
}

fn counted(modules: usize) -> String {
    if modules == 1 { "a module".to_owned() } else { format!("{modules} modules") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c5_what_a_module_calls_itself_is_one_line_that_a_terminal_only_shows() {
        let name = "A\u{1b}]0;owned\u{7}\nB\u{9b}31m\u{202e}C \"é\"";
        assert_eq!(Printable(name).to_string(), "A\\u{1b}]0;owned\\u{7}\\u{a}B\\u{9b}31m\\u{202e}C \"é\"");
    }
}
