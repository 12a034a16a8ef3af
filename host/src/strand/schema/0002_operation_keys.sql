-- Operations have a number within their transaction, of which their key at the trading server is made; 0 for those made
-- before, whose key is their id. The identity is random and made once: it tells these books from every other's.

ALTER TABLE balance_operation ADD COLUMN ordinal INTEGER NOT NULL DEFAULT 0;

CREATE TABLE identity (
  id    INTEGER PRIMARY KEY CHECK (id = 1),
  value TEXT    NOT NULL
) STRICT;

INSERT INTO identity VALUES (1, lower(hex(randomblob(16))));
