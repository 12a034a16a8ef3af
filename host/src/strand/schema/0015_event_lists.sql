-- Lists of events are read from here (docs/decisions/0023): before, memory answered every query and events were read by id
-- alone. On a database of 3,000,000 events this step takes about half a minute, once.

-- The newest page, ranges of time, and what is counted or skipped by these columns, without visiting a row.
CREATE INDEX provider_event_by_time ON provider_event
  (created_time, id, brand, provider, processing_status, config_id, transaction_id);
CREATE INDEX provider_event_by_transaction ON provider_event (transaction_id);
CREATE INDEX provider_event_by_payment ON provider_event (provider_payment_id);
-- Those that are not processed are few.
CREATE INDEX provider_event_by_status ON provider_event (processing_status, created_time);
