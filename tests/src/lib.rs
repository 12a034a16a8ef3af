//! The whole house from outside: what tests share.

pub mod modules;
