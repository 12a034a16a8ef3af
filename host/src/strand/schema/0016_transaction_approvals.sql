-- Decisions about transactions wait for a second person like changes of configs; `config_version` is then the ground on which
-- the decision was asked for (host/core/src/approval.rs).

ALTER TABLE approval ADD COLUMN transaction_id INTEGER NOT NULL DEFAULT 0; -- 0 where it is about a config
ALTER TABLE approval ADD COLUMN amount_minor INTEGER NOT NULL DEFAULT 0;
ALTER TABLE approval ADD COLUMN currency TEXT NOT NULL DEFAULT ''; -- empty without an amount

-- For the list of audit records: its default order, and the filters that a person uses most.
CREATE INDEX audit_by_time ON audit_record (at, id);
CREATE INDEX audit_by_manager ON audit_record (manager_id);
CREATE INDEX audit_by_config ON audit_record (config_id) WHERE config_id <> 0;
CREATE INDEX audit_by_approval ON audit_record (approval_id) WHERE approval_id <> 0;
