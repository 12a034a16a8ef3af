//! The settings file as written and as meant.
