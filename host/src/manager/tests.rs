//! The manager commands against a house on a test bench.
