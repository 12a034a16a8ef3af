//! Modules and gateways as `/readyz` and the metrics report them: what plugins.toml enables and cannot be used, and what of
//! the gateways does not work.

use cashier_core::printable::Printable;

use crate::flows::Cashier;
use crate::ports::CatalogLine;

/// What does not work, as it was when it was asked for.
pub(super) struct ModuleHealthReport {
    /// Modules that are enabled and refused.
    pub(super) refused: usize,
    /// Sentences about gateways.
    pub(super) failing: usize,
    /// Modules that can be used.
    available: usize,
    /// One for each problem.
    pub(super) sentences: Vec<String>,
}

impl ModuleHealthReport {
    pub(super) fn of(cashier: &Cashier) -> Self {
        let catalog = cashier.modules.catalog();
        let refused: Vec<String> = catalog.iter().filter(|line| line.refused).map(refused).collect();
        let gateways = catalog.iter().flat_map(|line| {
            line.problems.iter().map(move |problem| format!("module {}: {problem}", line.module_name))
        });
        let snapshot = cashier.snapshot();
        let broken = snapshot.broken_gateways().map(|(config, reason)| {
            let (provider, reason) = (Printable(&config.provider), Printable(reason));
            format!("provider {provider}: config {}: gateway did not open: {reason}", config.id)
        });
        let gateways: Vec<String> = gateways.chain(broken).collect();
        Self {
            refused: refused.len(),
            failing: gateways.len(),
            available: catalog.iter().filter(|line| line.available).count(),
            sentences: refused.into_iter().chain(gateways).collect(),
        }
    }

    /// Why no deposit can be made: nothing of what plugins.toml enables can be used. A file that enables nothing is no
    /// mistake, and one module that works keeps the cashier in service for it.
    pub(super) fn nothing_serves(&self) -> Option<String> {
        let first = self.sentences.first().filter(|_| self.refused > 0 && self.available == 0)?;
        Some(format!("none of the {} modules that plugins.toml enables can be used: {first}", self.refused))
    }
}

fn refused(line: &CatalogLine) -> String {
    format!("module {} is refused: {}", line.module_name, line.failure_reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::watch::{METRICS, metrics, readiness};
    use crate::test_cashier::{TestCashier, lock};

    fn page(env: &TestCashier, query: &str) -> (u16, String) {
        let response = readiness(&env.cashier, &[], query).into_http();
        (response.status().as_u16(), String::from_utf8(response.body().to_vec()).unwrap())
    }

    fn line(module: &str, refused: bool) -> CatalogLine {
        CatalogLine {
            module_name: module.into(),
            available: !refused,
            refused,
            failure_reason: if refused { "it is truncated".into() } else { Box::default() },
            ..CatalogLine::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn n6_readyz_says_which_modules_are_refused_and_is_unready_when_none_can_be_used() {
        let env = TestCashier::new().await;
        let disabled = CatalogLine { available: false, refused: false, ..line("off", false) };
        let refused = "module acme is refused: it is truncated\n";
        let table = [
            (vec![], 200, ""),
            (vec![disabled.clone()], 200, ""),
            (vec![line("good", false), disabled.clone()], 200, ""),
            (vec![line("good", false), line("acme", true)], 200, refused),
            (vec![line("acme", true), disabled], 503, refused),
        ];
        for (catalog, status, listed) in table {
            *lock(&env.provider.catalog) = Some(catalog.clone());
            let first = match status {
                200 => "ready\n",
                _ => {
                    "not ready: none of the 1 modules that plugins.toml enables can be used: module acme is refused: it is truncated\n"
                }
            };
            assert_eq!(page(&env, ""), (status, first.to_owned()));
            assert_eq!(page(&env, "verbose"), (status, format!("{first}{listed}")));
            let counted = metrics(&*env.cashier, METRICS).into_http();
            let expected = format!("\ncashier_modules_refused {}\n", usize::from(!listed.is_empty()));
            assert!(String::from_utf8_lossy(counted.body()).contains(&expected), "{catalog:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn n6_readyz_says_which_gateways_do_not_work_and_stays_ready() {
        let env = TestCashier::new().await;
        let failing = CatalogLine {
            problems: vec!["config 3: circuit breaker open: its provider does not answer".into()],
            ..line("acme", false)
        };
        *lock(&env.provider.catalog) = Some(vec![failing]);
        let listed = "module acme: config 3: circuit breaker open: its provider does not answer\n";
        assert_eq!(page(&env, "verbose"), (200, format!("ready\n{listed}")));
        let counted = metrics(&*env.cashier, METRICS).into_http();
        assert!(String::from_utf8_lossy(counted.body()).contains("\ncashier_gateways_failing 1\n"));
    }
}
