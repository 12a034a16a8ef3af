//! The HTTP doors: they turn requests into flows and outcomes into answers.
