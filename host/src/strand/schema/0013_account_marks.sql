-- Fingerprints of what identifies the merchant account of a config, under a key of audit_key whose number they begin with: a
-- JSON list, in clear, so that it stays when the secrets are lost or wiped. A start adds those that are missing.
ALTER TABLE provider_config ADD COLUMN account_marks_json TEXT NOT NULL DEFAULT '';
