//! What a judgement does with each check: it ends at the first rule that hides a config, or goes on to find every one. It
//! judges nothing.

use std::fmt;

use super::rule::{Check, Rule};
use super::{Eligible, TraceLine};
use crate::ids::ConfigId;

/// Receives the checks of one config in their order.
pub(super) trait Findings {
    fn passes(&mut self, check: Check, sentence: fmt::Arguments<'_>);

    /// # Errors
    /// The rule, where the judgement ends with it.
    fn hides(&mut self, rule: Rule) -> Result<(), Rule>;
}

/// Ends at the first rule and keeps no sentence.
pub(super) struct FirstRule;

impl Findings for FirstRule {
    fn passes(&mut self, _check: Check, _sentence: fmt::Arguments<'_>) {}

    fn hides(&mut self, rule: Rule) -> Result<(), Rule> {
        Err(rule)
    }
}

/// Ends at the first rule, with a line for each check up to it.
#[derive(Default)]
pub(super) struct TraceToFirst(pub(super) Vec<TraceLine>);

impl Findings for TraceToFirst {
    fn passes(&mut self, check: Check, sentence: fmt::Arguments<'_>) {
        self.0.push(TraceLine { check, passed: true, sentence: sentence.to_string() });
    }

    fn hides(&mut self, rule: Rule) -> Result<(), Rule> {
        self.0.push(TraceLine { check: rule.check(), passed: false, sentence: rule.to_string() });
        Err(rule)
    }
}

/// Goes on after each rule.
#[derive(Default)]
pub(super) struct EveryRule {
    trace: Vec<TraceLine>,
    rules: Vec<Rule>,
}

impl Findings for EveryRule {
    fn passes(&mut self, check: Check, sentence: fmt::Arguments<'_>) {
        self.trace.push(TraceLine { check, passed: true, sentence: sentence.to_string() });
    }

    fn hides(&mut self, rule: Rule) -> Result<(), Rule> {
        self.trace.push(TraceLine { check: rule.check(), passed: false, sentence: rule.to_string() });
        self.rules.push(rule);
        Ok(())
    }
}

/// Why one config is shown, or everything that hides it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodExplanation {
    pub config_id: ConfigId,
    /// Every rule that hides it, in the order of the checks; the first is the one that a judgement ends with. None where it
    /// is shown.
    pub rules: Vec<Rule>,
    /// Every check with its result.
    pub trace: Vec<TraceLine>,
    /// The method, the limits and the override that are in force, also where it is hidden.
    pub terms: Option<Eligible>,
}

impl MethodExplanation {
    pub fn is_shown(&self) -> bool {
        self.rules.is_empty()
    }
}

impl EveryRule {
    pub(super) fn explanation(self, config_id: ConfigId, judged: Result<Eligible, Rule>) -> MethodExplanation {
        MethodExplanation { config_id, rules: self.rules, trace: self.trace, terms: judged.ok() }
    }
}
