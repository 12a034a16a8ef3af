//! What a judgement does with each check: it ends at the first rule that hides a config, or goes on to find every one. It
//! judges nothing.

use std::fmt;

use super::rule::{Check, Rule};

/// One check with its result; the last line of a judgement that hides a config is the rule that hid it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceLine {
    pub check: Check,
    pub passed: bool,
    pub sentence: String,
}

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
    pub(super) trace: Vec<TraceLine>,
    pub(super) rules: Vec<Rule>,
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
