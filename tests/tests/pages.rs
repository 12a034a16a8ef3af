//! The pages state what the code does: each test compares a page with the code, or with the rest of the pages.

#[path = "pages/readme.rs"]
mod readme;
