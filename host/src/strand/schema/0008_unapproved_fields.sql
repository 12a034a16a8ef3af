-- Fields of a disabled config that one person changed since it last served: enabling it counts as changing them. Of a config
-- that is disabled already it is not known who set its fields, so each of those that decide where money goes is named.

ALTER TABLE provider_config ADD COLUMN unapproved_json TEXT NOT NULL DEFAULT ''; -- JSON [field, …]

UPDATE provider_config SET unapproved_json =
  '["provider","merchant_id","public_key","sandbox","secret_key","webhook_secret","settings_json","config_json"]'
 WHERE enabled = 0;
