//! The pages state what the code does: each test compares a page with the code's own tables, or with the rest of the pages.
//! A row that one side has and the other lacks fails, in either direction.

#[path = "pages/compare.rs"]
mod compare;
#[path = "pages/constants.rs"]
mod constants;
#[path = "pages/contract.rs"]
mod contract;
#[path = "pages/limits.rs"]
mod limits;
#[path = "pages/links.rs"]
mod links;
#[path = "pages/markdown.rs"]
mod markdown;
#[path = "pages/operation.rs"]
mod operation;
#[path = "pages/readme.rs"]
mod readme;
