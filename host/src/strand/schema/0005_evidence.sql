-- Who changed which field of a config, and changes that wait for a second person.

-- Append-only, chained: hash = SHA-256 over the record and the previous record's hash (host/src/strand/audit.rs), so that
-- a record that was changed, removed or moved is found.
CREATE TABLE audit_record (
  id            INTEGER PRIMARY KEY, -- the number of the commit
  at            INTEGER NOT NULL,
  manager_id    INTEGER NOT NULL,
  role          INTEGER NOT NULL,
  brand         TEXT    NOT NULL,
  address       TEXT    NOT NULL,
  request_id    TEXT    NOT NULL,
  command       TEXT    NOT NULL,
  config_id     INTEGER NOT NULL,
  approval_id   INTEGER NOT NULL, -- 0 without one
  outcome       TEXT    NOT NULL,
  changes_json  TEXT    NOT NULL, -- JSON [[field, before, after], …]; secrets as fingerprints
  previous_hash BLOB    NOT NULL, -- 32 zero bytes in the first record
  hash          BLOB    NOT NULL
) STRICT;

CREATE TABLE approval (
  id             INTEGER PRIMARY KEY, -- the number of the commit that asked
  command        TEXT    NOT NULL,
  config_id      INTEGER NOT NULL, -- 0 where a config is to be created
  brand          TEXT    NOT NULL,
  config_version INTEGER NOT NULL,
  request_sealed BLOB    NOT NULL,
  fields         TEXT    NOT NULL,
  asked_by       INTEGER NOT NULL,
  asked_time     INTEGER NOT NULL,
  expires_time   INTEGER NOT NULL,
  state          INTEGER NOT NULL, -- 0 open, 1 approved, 2 rejected
  decided_by     INTEGER NOT NULL,
  decided_time   INTEGER NOT NULL
) STRICT;
