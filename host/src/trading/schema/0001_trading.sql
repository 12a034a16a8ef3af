-- Customers, groups, accounts and postings of the embedded trading server. Never edited: changes are a new file.

CREATE TABLE customer (
  customer_id        INTEGER PRIMARY KEY,
  country            TEXT    NOT NULL,
  brand              TEXT    NOT NULL,
  status             INTEGER NOT NULL,
  deposit_allowed    INTEGER NOT NULL,
  withdrawal_allowed INTEGER NOT NULL
) STRICT;

-- The exponent is stored beside the currency, so that a changed currency table cannot rescale balances unnoticed.
CREATE TABLE account_group (
  name         TEXT    NOT NULL PRIMARY KEY,
  brand        TEXT    NOT NULL,
  currency     TEXT    NOT NULL,
  exponent     INTEGER NOT NULL,
  account_mode INTEGER NOT NULL,
  enabled      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- An account's currency is its group's.
CREATE TABLE account (
  login         INTEGER PRIMARY KEY,
  customer_id   INTEGER NOT NULL,
  group_name    TEXT    NOT NULL,
  enabled       INTEGER NOT NULL,
  balance_minor INTEGER NOT NULL
) STRICT;

-- One row per operation id, refused ones included. trade_order is 0 and refusal non-empty where it was refused.
CREATE TABLE posting (
  operation_id   INTEGER PRIMARY KEY,
  transaction_id INTEGER NOT NULL,
  customer_id    INTEGER NOT NULL,
  login          INTEGER NOT NULL,
  cmd            INTEGER NOT NULL,
  reason         INTEGER NOT NULL,
  amount_minor   INTEGER NOT NULL,
  currency       TEXT    NOT NULL,
  exponent       INTEGER NOT NULL,
  comment        TEXT    NOT NULL,
  operation_time INTEGER NOT NULL,
  trade_order    INTEGER NOT NULL,
  refusal        TEXT    NOT NULL
) STRICT;

-- The highest trade order handed out; kept apart because finding it among the postings would read them all.
CREATE TABLE counter (
  name  TEXT    NOT NULL PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO counter (name, value) VALUES ('trade_order', 0);
