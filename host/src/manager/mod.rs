//! The manager door: one table of commands.
