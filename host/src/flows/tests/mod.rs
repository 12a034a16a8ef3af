//! The flows with a test cashier: each test is one interleaving that once cost money, or would.

mod chaos;
mod clock;
mod clock_windows;
mod config_edits;
mod creates;
mod ended_calls;
mod expiry;
mod identity;
mod janitor;
mod lists;
mod logs;
mod lost_accounts;
mod network_verified;
mod notice_floods;
mod orders;
mod pace;
mod postings;
mod reviews;
mod rosters;
mod sealing;
mod texts;
mod unjudged_notices;
mod unreadable;
mod wanted_queries;
mod webhook_answers;
mod webhooks;
