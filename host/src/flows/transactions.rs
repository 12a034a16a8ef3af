//! Lists of transactions: long scans go in bounded holds of the ledger's lock, so that deposits never wait for a list.
