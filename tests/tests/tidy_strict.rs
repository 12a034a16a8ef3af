//! Tidy tests that the tree does not pass yet: types of one name, banned words. They run only when named
//! (`cargo test -p cashier-tests --test tidy_strict`) and move into `tidy.rs` when the tree is clean.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that cannot read the source must fail"
)]

#[path = "tidy/banned_words.rs"]
mod banned_words;
#[path = "tidy/paths.rs"]
#[allow(dead_code, reason = "shared with the tidy tests of the other file")]
mod paths;
#[path = "tidy/source.rs"]
#[allow(dead_code, reason = "shared with the tidy tests of the other file")]
mod source;
#[path = "tidy/twins.rs"]
mod twins;
