-- Postings by the operation's key, text that no restored cashier.db can hand out for another payment. Those made before keep
-- their number as key. An index on the key finds the postings of a reference too: it begins their keys.

CREATE TABLE posting_by_key (
  key            TEXT    NOT NULL PRIMARY KEY,
  reference      TEXT    NOT NULL, -- of the transaction; '' for those made before
  operation_id   INTEGER NOT NULL,
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

INSERT INTO posting_by_key
SELECT CAST(operation_id AS TEXT), '', operation_id, transaction_id, customer_id, login, cmd, reason, amount_minor, currency,
       exponent, comment, operation_time, trade_order, refusal
FROM posting ORDER BY operation_id;

-- One row: the books (cashier.db) that the postings belong to, and what a start compares with them.
CREATE TABLE books (
  id        INTEGER PRIMARY KEY CHECK (id = 1),
  identity  TEXT    NOT NULL, -- of cashier.db; '' until both were opened together
  operation INTEGER NOT NULL, -- the highest operation id received
  postings  INTEGER NOT NULL, -- how many were posted
  digest    BLOB    NOT NULL  -- over what was posted, 16 bytes; X'' where it must be computed first
) STRICT;

INSERT INTO books
SELECT 1, '', coalesce(max(operation_id), 0), count(*) FILTER (WHERE refusal = ''), X'' FROM posting;

DROP TABLE posting;
ALTER TABLE posting_by_key RENAME TO posting;
