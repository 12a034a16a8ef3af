-- Fingerprints of what identifies the merchant account of a config, under a key of audit_key whose number they begin with: a
-- JSON list, in clear, so that it stays when the secrets are lost or wiped. A start adds those that are missing.
ALTER TABLE provider_config ADD COLUMN account_marks_json TEXT NOT NULL DEFAULT '';

-- The key of audit_key under which sha256 of a wiped request was made, over the request itself; 0 where it is the plain
-- SHA-256 of the encrypted request, which did not open.
ALTER TABLE approval ADD COLUMN request_key INTEGER NOT NULL DEFAULT 0;
