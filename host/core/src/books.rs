//! The books: every transaction in memory, found by the queries the interfaces offer.
