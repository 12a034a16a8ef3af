//! The journeys over a world in memory: each test is one interleaving that once cost somebody money, or would.

mod chaos;
mod configuring;
mod creating;
mod disk;
mod hearing;
mod janitor;
mod provider;
mod trading;
mod world;
