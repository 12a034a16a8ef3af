-- A query that an event requires stays due until the provider answered it. Before, it was tried once and dropped where the
-- provider was down: the payments that the newest such events name are queried once more. Where a provider sends each event to
-- several configs every payment has such events: the limit keeps a start over years of rows from flooding a provider.

ALTER TABLE cashier_transaction ADD COLUMN query_wanted INTEGER NOT NULL DEFAULT 0; -- seq of a commit; 0 is none

-- source 0 is a provider's payment, 2 is failed, signature status 1 is verified.
UPDATE cashier_transaction SET query_wanted = 1
 WHERE source = 0 AND id IN (
   SELECT transaction_id FROM provider_event
    WHERE processing_status = 2 AND signature_status = 1 AND transaction_id <> 0
      AND (failure_reason LIKE 'PROVIDER_CONFIG_MISMATCH%' OR failure_reason LIKE 'UNREADABLE_NOTICE%')
    ORDER BY id DESC LIMIT 4096);
