//! A payment service that exists only to be tried: a merchant API, a hosted page, signed webhooks,
//! and a switch for everything that goes wrong. It moves no money, keeps nothing on disk and knows no cashier.
//! The wire protocol is in README.md; `wire` and `switch` are its types.

mod answer;
mod books;
mod button;
mod conduct;
mod courier;
mod crew;
mod door;
mod house;
mod intake;
mod keys;
mod life;
mod money;
mod page;
mod ports;
mod refusal;
mod routes;
mod running;
mod settings;
mod signature;
pub mod switch;
pub mod wire;

pub use money::Amount;
pub use ports::{Clock, Entropy, SeededEntropy, SystemClock, SystemEntropy};
pub use refusal::{Refusal, RefusalCode};
pub use running::{Running, SandboxService, StartError};
pub use settings::*;
pub use signature::SIGNATURE_HEADER;
