//! Trading servers: who owns customers, accounts and balances.
