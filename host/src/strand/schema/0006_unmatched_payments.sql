-- Confirmed payments whose transaction never appeared are read at a start as well. 2 is failed; a status of 2 in the update
-- is confirmed. The newest of those that failed before are listed.

INSERT OR IGNORE INTO pending_event (id)
SELECT id FROM provider_event
WHERE processing_status = 2 AND failure_reason = 'TRANSACTION_NOT_FOUND' AND signature_status = 1
  AND CASE WHEN json_valid(update_json) THEN json_extract(update_json, '$.status') = 2 ELSE 0 END
ORDER BY id DESC LIMIT 4096;
