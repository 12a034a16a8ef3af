//! A payment service that exists only to be tried: a merchant API, a hosted page, signed webhooks,
//! and a switch for everything that goes wrong. It moves no money, keeps nothing on disk and knows no cashier.
//! The wire protocol is in README.md; `wire` and `switch` are its types.

mod money;
mod ports;
mod refusal;
mod settings;
pub mod switch;
pub mod wire;

pub use money::Amount;
pub use ports::{Clock, Entropy, SeededEntropy, SystemClock, SystemEntropy};
pub use refusal::{Refusal, RefusalCode};
pub use settings::*;
