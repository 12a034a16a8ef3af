-- Large bodies are deleted once they are older than the settings say, or for a customer who is erased. The row stays, with
-- length, SHA-256 and time of what was deleted.

ALTER TABLE notice ADD COLUMN body_bytes INTEGER NOT NULL DEFAULT 0; -- of the deleted body; sha256 is its hash
ALTER TABLE notice ADD COLUMN deleted_time INTEGER NOT NULL DEFAULT 0; -- 0 while the body is there

ALTER TABLE unproven_notice ADD COLUMN body_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE unproven_notice ADD COLUMN deleted_time INTEGER NOT NULL DEFAULT 0;

ALTER TABLE answer ADD COLUMN body_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE answer ADD COLUMN deleted_time INTEGER NOT NULL DEFAULT 0;
ALTER TABLE answer ADD COLUMN sha256 BLOB NOT NULL DEFAULT x''; -- over redirect_url, a zero byte and instructions_json

ALTER TABLE approval ADD COLUMN body_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE approval ADD COLUMN deleted_time INTEGER NOT NULL DEFAULT 0;
ALTER TABLE approval ADD COLUMN sha256 BLOB NOT NULL DEFAULT x''; -- over the sealed request

-- Up to which id each kind was looked through (host/src/strand/retention.rs), and the rows before it that must stay for now.
CREATE TABLE retention (
  kind  INTEGER PRIMARY KEY,
  up_to INTEGER NOT NULL
) STRICT;

CREATE TABLE retention_kept (
  kind INTEGER NOT NULL,
  id   INTEGER NOT NULL,
  PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
