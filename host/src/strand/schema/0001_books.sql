-- The cashier's rows. Numbers in status-like columns are the published ones (host/core/src/status.rs); money is whole
-- minor units beside its currency; times are Unix seconds, 0 when unset. A file of this folder is never edited once it
-- was released: the next change is the next number.
--
-- Memory answers every query, so a table has its primary key and at most one more index.

PRAGMA application_id = 1128354632; -- 'CASH': tells this file from any other SQLite database

CREATE TABLE cashier_transaction (
  id                  INTEGER PRIMARY KEY,
  customer_id         INTEGER NOT NULL,
  login               INTEGER NOT NULL,
  type                INTEGER NOT NULL,
  source              INTEGER NOT NULL,
  provider            TEXT    NOT NULL,
  method              TEXT    NOT NULL,
  asked_method        TEXT    NOT NULL,
  provider_payment_id TEXT    NOT NULL,
  amount_minor        INTEGER NOT NULL,
  currency            TEXT    NOT NULL,
  account_currency    TEXT    NOT NULL,
  status              INTEGER NOT NULL,
  reason_code         TEXT    NOT NULL,
  reason_detail       TEXT    NOT NULL,
  idempotency_key     TEXT    NOT NULL,
  comment             TEXT    NOT NULL,
  metadata_json       TEXT    NOT NULL,
  approved_by         INTEGER NOT NULL,
  approved_time       INTEGER NOT NULL,
  processed_by        INTEGER NOT NULL,
  processed_time      INTEGER NOT NULL,
  reject_reason       TEXT    NOT NULL,
  created_time        INTEGER NOT NULL,
  updated_time        INTEGER NOT NULL,
  config_id           INTEGER NOT NULL,
  brand               TEXT    NOT NULL,
  country             TEXT    NOT NULL,
  sandbox             INTEGER NOT NULL,
  reference           TEXT    NOT NULL,
  key_space           INTEGER NOT NULL, -- 0 customer door, 1 manager doors
  expires_time        INTEGER NOT NULL,
  refs                TEXT    NOT NULL, -- JSON [[kind, value], …]; '' when there are none
  provider_facts      TEXT    NOT NULL, -- JSON [[seq, at, fact], …]; '' when there are none
  person_facts        TEXT    NOT NULL, -- the same
  first_answer        INTEGER NOT NULL, -- 0 open, 1 accepted, 2 declined, 3 never sent, 4 unknown
  next_action         INTEGER NOT NULL, -- 0 none, 1 redirect, 2 instructions, 3 wait
  refused_seq         INTEGER NOT NULL,
  version             INTEGER NOT NULL
) STRICT;

CREATE TABLE balance_operation (
  id             INTEGER PRIMARY KEY, -- also the key at the trading server
  transaction_id INTEGER NOT NULL,
  login          INTEGER NOT NULL,
  trade_order    INTEGER NOT NULL,
  cmd            INTEGER NOT NULL,
  amount_minor   INTEGER NOT NULL,
  currency       TEXT    NOT NULL,
  reason         INTEGER NOT NULL,
  status         INTEGER NOT NULL,
  failure_reason TEXT    NOT NULL,
  created_time   INTEGER NOT NULL,
  updated_time   INTEGER NOT NULL
) STRICT;

-- Genuine events alone (signature_status 1).
CREATE TABLE provider_event (
  id                  INTEGER PRIMARY KEY,
  notice_id           INTEGER NOT NULL,
  config_id           INTEGER NOT NULL,
  provider            TEXT    NOT NULL,
  brand               TEXT    NOT NULL,
  event_id            TEXT    NOT NULL,
  transaction_id      INTEGER NOT NULL,
  provider_payment_id TEXT    NOT NULL,
  signature_status    INTEGER NOT NULL,
  processing_status   INTEGER NOT NULL,
  failure_reason      TEXT    NOT NULL,
  update_json         TEXT    NOT NULL, -- the normalized update; '' when there is none
  module_hash         TEXT    NOT NULL,
  created_time        INTEGER NOT NULL,
  processed_time      INTEGER NOT NULL
) STRICT;

-- Two uses earn this index its page per commit: no error above can file one event twice, and it covers the three columns
-- that a start reads for every event ever filed.
CREATE UNIQUE INDEX provider_event_key ON provider_event (config_id, event_id);

-- Ids of the genuine events whose processing_status is 0, so that a start need not scan all events for them.
CREATE TABLE pending_event (
  id INTEGER PRIMARY KEY
) STRICT;

-- Webhooks as received, one per request.
CREATE TABLE notice (
  id            INTEGER PRIMARY KEY,
  received_time INTEGER NOT NULL,
  method        TEXT    NOT NULL,
  path          TEXT    NOT NULL,
  raw_query     TEXT    NOT NULL,
  headers_json  TEXT    NOT NULL,
  sha256        BLOB    NOT NULL,
  body          BLOB    NOT NULL
) STRICT;

-- The bounded area: what was received and not found genuine. Its oldest rows make room for its newest, so that an open
-- door cannot fill the disk.
CREATE TABLE unproven_event (
  id                  INTEGER PRIMARY KEY,
  notice_id           INTEGER NOT NULL,
  config_id           INTEGER NOT NULL,
  provider            TEXT    NOT NULL,
  brand               TEXT    NOT NULL,
  event_id            TEXT    NOT NULL,
  transaction_id      INTEGER NOT NULL,
  provider_payment_id TEXT    NOT NULL,
  signature_status    INTEGER NOT NULL,
  processing_status   INTEGER NOT NULL,
  failure_reason      TEXT    NOT NULL,
  update_json         TEXT    NOT NULL,
  module_hash         TEXT    NOT NULL,
  created_time        INTEGER NOT NULL,
  processed_time      INTEGER NOT NULL
) STRICT;

CREATE TABLE unproven_notice (
  id            INTEGER PRIMARY KEY,
  received_time INTEGER NOT NULL,
  method        TEXT    NOT NULL,
  path          TEXT    NOT NULL,
  raw_query     TEXT    NOT NULL,
  headers_json  TEXT    NOT NULL,
  sha256        BLOB    NOT NULL,
  body          BLOB    NOT NULL
) STRICT;

-- What the customer was told when the create call ended.
CREATE TABLE answer (
  transaction_id    INTEGER PRIMARY KEY,
  redirect_url      TEXT NOT NULL,
  instructions_json TEXT NOT NULL
) STRICT;

-- What a provider is sent beyond the transaction's own columns, so that a create can be repeated byte for byte.
CREATE TABLE stored_order (
  transaction_id INTEGER PRIMARY KEY,
  notify_url     TEXT NOT NULL,
  success_url    TEXT NOT NULL,
  failure_url    TEXT NOT NULL,
  locale         TEXT NOT NULL,
  ip             TEXT NOT NULL,
  nonce          BLOB NOT NULL, -- 16 bytes, big-endian
  terms_version  INTEGER NOT NULL -- of the config it was made under
) STRICT;

-- Columns that end in _sealed hold version | key id | nonce | ciphertext (host/src/strand/seal.rs).
CREATE TABLE provider_config (
  id                      INTEGER PRIMARY KEY,
  provider                TEXT    NOT NULL,
  brand                   TEXT    NOT NULL,
  method                  TEXT    NOT NULL,
  country                 TEXT    NOT NULL,
  currency                TEXT    NOT NULL,
  merchant_id             TEXT    NOT NULL,
  public_key              TEXT    NOT NULL,
  secret_key_sealed       BLOB    NOT NULL,
  webhook_secret_sealed   BLOB    NOT NULL,
  replaced_secrets_sealed BLOB    NOT NULL, -- JSON [[until, secret], …], newest first
  settings_json           TEXT    NOT NULL,
  config_json_sealed      BLOB    NOT NULL,
  min_amount              TEXT    NOT NULL, -- exact decimals: a limit has no currency of its own
  max_amount              TEXT    NOT NULL,
  sandbox                 INTEGER NOT NULL,
  enabled                 INTEGER NOT NULL,
  sort_index              INTEGER NOT NULL,
  created_time            INTEGER NOT NULL,
  updated_time            INTEGER NOT NULL,
  terms_version           INTEGER NOT NULL, -- the version at which credentials or settings last changed
  version                 INTEGER NOT NULL
) STRICT;

CREATE TABLE customer_override (
  id                 INTEGER PRIMARY KEY,
  customer_id        INTEGER NOT NULL,
  brand              TEXT    NOT NULL,
  provider_config_id INTEGER NOT NULL,
  provider           TEXT    NOT NULL,
  method             TEXT    NOT NULL,
  mode               INTEGER NOT NULL,
  min_amount         TEXT    NOT NULL,
  max_amount         TEXT    NOT NULL,
  enabled            INTEGER NOT NULL,
  reason             TEXT    NOT NULL,
  comment            TEXT    NOT NULL,
  expires_time       INTEGER NOT NULL,
  created_time       INTEGER NOT NULL,
  updated_time       INTEGER NOT NULL
) STRICT;

-- One row: the highest id handed out of each kind, and how often this file was opened for writing.
CREATE TABLE counters (
  id                  INTEGER PRIMARY KEY CHECK (id = 1),
  seq                 INTEGER NOT NULL,
  cashier_transaction INTEGER NOT NULL,
  operation           INTEGER NOT NULL,
  event               INTEGER NOT NULL,
  notice              INTEGER NOT NULL,
  config              INTEGER NOT NULL,
  customer_override   INTEGER NOT NULL,
  opened              INTEGER NOT NULL
) STRICT;

INSERT INTO counters VALUES (1, 0, 0, 0, 0, 0, 0, 0, 0);

-- Who caused which rows to change, for which request, in which order.
CREATE TABLE commit_journal (
  seq        INTEGER PRIMARY KEY,
  at         INTEGER NOT NULL,
  actor      INTEGER NOT NULL, -- 0 the house, 1 customer, 2 manager, 3 provider (by config)
  actor_id   INTEGER NOT NULL,
  request_id TEXT    NOT NULL,
  touched    TEXT    NOT NULL  -- 't15 o3 e9': transaction, operation, event; c config, v override, n notice, a answer, s stored order
) STRICT;
