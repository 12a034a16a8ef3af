//! The one immutable picture of configs, overrides, gateways and catalog that requests read without a lock.
