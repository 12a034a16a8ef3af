//! How long large bodies are kept. What is deleted, and what must stay, is `strand/retention`.

use super::file::SettingsFile;
use super::wrong::Wrong;

/// Days for which bodies of events are kept where the setting is omitted: longer than any card scheme lets a dispute be opened.
pub(super) const EVENT_BODY_DAYS: u32 = 550;
/// Their least: by then an event no longer waits, and newer builds of its module were shown what none could read.
pub(super) const EVENT_BODY_DAYS_MIN: u32 = 30;
pub(super) const QUARANTINE_BODY_DAYS: u32 = 30;
/// Pages and instructions of deposits that have ended.
pub(super) const ANSWER_DAYS: u32 = 90;
pub(super) const APPROVAL_DAYS: u32 = 550;

/// How many days each kind of body is kept; 0 is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionDays {
    pub event_bodies: u32,
    pub quarantine_bodies: u32,
    pub answers: u32,
    pub approvals: u32,
}

impl RetentionDays {
    pub(super) fn checked(file: &SettingsFile) -> Result<Self, Wrong> {
        let event_bodies = file.event_body_days.unwrap_or(EVENT_BODY_DAYS);
        if (1..EVENT_BODY_DAYS_MIN).contains(&event_bodies) {
            let range = format!("= {event_bodies} must be 0, which is for ever, or at least {EVENT_BODY_DAYS_MIN}");
            return Err(Wrong::new("event_body_days", range));
        }
        Ok(Self {
            event_bodies,
            quarantine_bodies: file.quarantine_body_days.unwrap_or(QUARANTINE_BODY_DAYS),
            answers: file.answer_days.unwrap_or(ANSWER_DAYS),
            approvals: file.approval_days.unwrap_or(APPROVAL_DAYS),
        })
    }
}
