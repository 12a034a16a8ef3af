-- Which requests were sent to providers on behalf of a transaction: a short list for each, bounded, deleted by its age.

CREATE TABLE provider_call (
  transaction_id INTEGER PRIMARY KEY,
  at             INTEGER NOT NULL, -- of the newest
  calls_json     TEXT    NOT NULL  -- JSON [[at, purpose, method, host, status, ms, outcome], …] (host/core/src/provider_call.rs)
) STRICT;
