-- The price of one unit of a currency in another, as the operator states it by import: a deposit in another currency than its
-- account's is converted at it while it is young enough. Never edited: changes are a new file.
CREATE TABLE rate (
  from_currency TEXT NOT NULL,
  to_currency TEXT NOT NULL,
  rate TEXT NOT NULL, -- an exact decimal
  stated_time INTEGER NOT NULL, -- 0 withdraws it
  source TEXT NOT NULL,
  PRIMARY KEY (from_currency, to_currency)
) STRICT, WITHOUT ROWID;
