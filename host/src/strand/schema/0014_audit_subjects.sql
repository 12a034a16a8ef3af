-- Records about transactions, beside those about configs.

ALTER TABLE audit_record ADD COLUMN transaction_id INTEGER NOT NULL DEFAULT 0; -- 0 where it is about none
-- Which content the hash covers: 1 without the transaction, 2 with it (host/src/strand/audit.rs).
ALTER TABLE audit_record ADD COLUMN layout INTEGER NOT NULL DEFAULT 1;

CREATE INDEX audit_by_transaction ON audit_record (transaction_id) WHERE transaction_id <> 0;
