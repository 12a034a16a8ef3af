//! Invariants held by reading the source (ARCHITECTURE.md, "Invariants"): what a crate, a layer or a file does not know.
//! A failure names the file, the line and the rule. Nearly every check has a test that plants a violation.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot read the source must fail"
)]

#[path = "tidy/banned_words.rs"]
mod banned_words;
#[path = "tidy/boundaries.rs"]
mod boundaries;
#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/limits.rs"]
mod limits;
#[path = "tidy/manifests.rs"]
mod manifests;
#[path = "tidy/modules.rs"]
mod modules;
#[path = "tidy/paths.rs"]
mod paths;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/sql.rs"]
mod sql;
#[path = "tidy/twins.rs"]
mod twins;
