//! The table as the README shows it, and the arithmetic of rounds: medians, ratios of pairs.

use std::fmt;

use crate::{BenchResult, report};

/// One measured figure.
pub(crate) struct FigureRow {
    pub figure: &'static str,
    pub measured: String,
    pub limit: String,
    /// Measured against the limit; `None` where the limit is context alone.
    pub ratio: Option<f64>,
    pub aim: &'static str,
    /// `None` when it could not be measured here.
    pub met: Option<bool>,
}

impl FigureRow {
    /// A figure that this machine cannot measure.
    pub(crate) fn skipped(figure: &'static str, aim: &'static str, why: &str) -> Self {
        report(&format!("skipped: {why}"));
        Self { figure, measured: format!("skipped: {why}"), limit: String::new(), ratio: None, aim, met: None }
    }
}

#[derive(Default)]
pub(crate) struct Table {
    lines: Vec<FigureRow>,
    failures: Vec<String>,
}

impl Table {
    pub(crate) fn extend(&mut self, lines: Vec<FigureRow>) {
        for line in &lines {
            report(&format!("  {}: {} against {}", line.figure, line.measured, line.limit));
        }
        self.lines.extend(lines);
    }

    pub(crate) fn failed(&mut self, name: &str, error: &dyn std::error::Error) {
        report(&format!("  {name} failed: {error}"));
        self.failures.push(format!("{name}: {error}"));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", machine())?;
        writeln!(f, "| Figure | Measured | Limit, same run | Ratio | Aim | Met |")?;
        writeln!(f, "|---|---|---|---|---|---|")?;
        for FigureRow { figure, measured, limit, ratio, aim, met } in &self.lines {
            let ratio = ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
            let met = met.map_or("–", |met| if met { "yes" } else { "no" });
            writeln!(f, "| {figure} | {measured} | {limit} | {ratio} | {aim} | {met} |")?;
        }
        for failure in &self.failures {
            writeln!(f, "\nNot measured: {failure}")?;
        }
        Ok(())
    }
}

/// Processor, memory and compiler; nothing that identifies the machine.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let model = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    let memory = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let kilobytes: u64 = text.lines().next()?.split_whitespace().nth(1)?.parse().ok()?;
        Some(format!("{} GiB", kilobytes.div_ceil(1024 * 1024)))
    });
    let rustc = std::process::Command::new("rustc").arg("--version").output().ok();
    let rustc = rustc.and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    let rustc = rustc.split_whitespace().nth(1).unwrap_or("unknown");
    format!(
        "Measured on {cores} cores ({}), {}, {}, rustc {rustc}, release build; the load comes from the same cores.",
        model.as_deref().unwrap_or("unknown model"),
        memory.as_deref().unwrap_or("memory unknown"),
        std::env::consts::OS,
    )
}

/// Ours and the limit, measured alternately.
pub(crate) struct Pair {
    pub ours: f64,
    pub limit: f64,
    /// The median of the rounds' own ratios, so that a slow minute of the machine affects both.
    pub ratio: f64,
}

/// Measures alternately. Which goes first alternates too, so that neither always runs on the warmer machine.
pub(crate) fn alternate(
    rounds: usize,
    mut ours: impl FnMut() -> BenchResult<f64>,
    mut limit: impl FnMut() -> BenchResult<f64>,
) -> BenchResult<Pair> {
    let mut pairs = Vec::with_capacity(rounds);
    for round in 0..rounds {
        let pair = if round % 2 == 0 {
            let first = ours()?;
            (first, limit()?)
        } else {
            let first = limit()?;
            (ours()?, first)
        };
        report(&format!("  round {}: {:.1} against {:.1}", round + 1, pair.0, pair.1));
        pairs.push(pair);
    }
    Ok(Pair {
        ours: median(pairs.iter().map(|(ours, _)| *ours)),
        limit: median(pairs.iter().map(|(_, limit)| *limit)),
        ratio: median(pairs.iter().map(|(ours, limit)| ours / limit)),
    })
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    quantile(values.collect(), 0.5)
}

/// The value below which this share of the values lies.
pub(crate) fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in the list")]
    let place = ((values.len().saturating_sub(1)) as f64 * share).round() as usize;
    values.get(place).copied().unwrap_or(f64::NAN)
}

/// `7.4k/s`.
pub(crate) fn per_second(rate: f64) -> String {
    if rate >= 10_000.0 { format!("{:.1}k/s", rate / 1000.0) } else { format!("{rate:.0}/s") }
}
