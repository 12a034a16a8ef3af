-- Lists of events and audit records at size (docs/decisions/0023): how many rows there are of each kind is kept beside them, since
-- counting 3,000,000 index entries takes a tenth of a second and more; and what is rare among them is found by an index of its own.
-- On a database of 3,000,000 events this step takes about half a minute, once.

-- Exact at every moment: the triggers below write it in the transaction of the row.
CREATE TABLE provider_event_count (
  config_id         INTEGER NOT NULL,
  brand             TEXT    NOT NULL,
  provider          TEXT    NOT NULL,
  processing_status INTEGER NOT NULL,
  rows              INTEGER NOT NULL,
  PRIMARY KEY (config_id, brand, provider, processing_status)
) STRICT, WITHOUT ROWID;

INSERT INTO provider_event_count
  SELECT config_id, brand, provider, processing_status, count(*) FROM provider_event
  GROUP BY config_id, brand, provider, processing_status;

CREATE TRIGGER provider_event_added AFTER INSERT ON provider_event BEGIN
  INSERT INTO provider_event_count VALUES (new.config_id, new.brand, new.provider, new.processing_status, 1)
    ON CONFLICT DO UPDATE SET rows = rows + 1;
END;

CREATE TRIGGER provider_event_removed AFTER DELETE ON provider_event BEGIN
  UPDATE provider_event_count SET rows = rows - 1
    WHERE config_id = old.config_id AND brand = old.brand AND provider = old.provider
      AND processing_status = old.processing_status;
END;

CREATE TRIGGER provider_event_changed
AFTER UPDATE OF config_id, brand, provider, processing_status ON provider_event
WHEN old.processing_status <> new.processing_status OR old.config_id <> new.config_id OR old.brand <> new.brand
  OR old.provider <> new.provider
BEGIN
  UPDATE provider_event_count SET rows = rows - 1
    WHERE config_id = old.config_id AND brand = old.brand AND provider = old.provider
      AND processing_status = old.processing_status;
  INSERT INTO provider_event_count VALUES (new.config_id, new.brand, new.provider, new.processing_status, 1)
    ON CONFLICT DO UPDATE SET rows = rows + 1;
END;

-- The events of one config, and of one brand, newest last; counted by the other columns without visiting a row.
CREATE INDEX provider_event_by_config ON provider_event (config_id, created_time, id, processing_status);
CREATE INDEX provider_event_by_brand ON provider_event (brand, created_time, id, provider, processing_status);
-- Those that are not processed, and those with a reason, are few.
DROP INDEX provider_event_by_status;
CREATE INDEX provider_event_unprocessed ON provider_event (processing_status, created_time) WHERE processing_status <> 1;
CREATE INDEX provider_event_by_reason ON provider_event (failure_reason, created_time) WHERE failure_reason <> '';

-- Records are added and never changed or removed.
CREATE TABLE audit_record_count (
  brand   TEXT    NOT NULL,
  command TEXT    NOT NULL,
  role    INTEGER NOT NULL,
  outcome TEXT    NOT NULL,
  rows    INTEGER NOT NULL,
  PRIMARY KEY (brand, command, role, outcome)
) STRICT, WITHOUT ROWID;

INSERT INTO audit_record_count
  SELECT brand, command, role, outcome, count(*) FROM audit_record GROUP BY brand, command, role, outcome;

CREATE TRIGGER audit_record_added AFTER INSERT ON audit_record BEGIN
  INSERT INTO audit_record_count VALUES (new.brand, new.command, new.role, new.outcome, 1)
    ON CONFLICT DO UPDATE SET rows = rows + 1;
END;

CREATE INDEX audit_by_brand ON audit_record (brand, at);
CREATE INDEX audit_by_command ON audit_record (command, at);
CREATE INDEX audit_by_outcome ON audit_record (outcome, at);

-- What SQLite's planner takes for the size of each index, in place of guesses by which a brand would be as rare as a payment.
-- It is written here and not measured, so that every database has the same plans. The table is made by analyzing a table of few rows.
ANALYZE pending_event;
DELETE FROM sqlite_stat1 WHERE tbl IN ('provider_event', 'audit_record');
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
  ('provider_event', 'provider_event_key', '3000000 100000 1'),
  ('provider_event', 'provider_event_by_time', '3000000 2 1 1 1 1 1 1'),
  ('provider_event', 'provider_event_by_transaction', '3000000 3'),
  ('provider_event', 'provider_event_by_payment', '3000000 3'),
  ('provider_event', 'provider_event_by_config', '3000000 100000 2 1 1'),
  ('provider_event', 'provider_event_by_brand', '3000000 300000 2 1 1 1'),
  ('provider_event', 'provider_event_unprocessed', '10000 3000 2'),
  ('provider_event', 'provider_event_by_reason', '10000 100 2'),
  ('audit_record', 'audit_by_time', '1000000 2 1'),
  ('audit_record', 'audit_by_manager', '1000000 10000'),
  ('audit_record', 'audit_by_config', '100000 1000'),
  ('audit_record', 'audit_by_transaction', '1000000 3'),
  ('audit_record', 'audit_by_approval', '10000 2'),
  ('audit_record', 'audit_by_brand', '1000000 100000 2'),
  ('audit_record', 'audit_by_command', '1000000 50000 2'),
  ('audit_record', 'audit_by_outcome', '1000000 50000 2');
