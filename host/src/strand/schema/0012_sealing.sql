-- When a config was deleted, so that its secrets are wiped once no update of its payments may still arrive; 0 where it is
-- not. Configs that were disabled by an earlier release count as disabled: nobody said that they are deleted for good.
ALTER TABLE provider_config ADD COLUMN deleted_time INTEGER NOT NULL DEFAULT 0;

-- Keys of the fingerprints in audit records, sealed like every credential, so that fingerprints stay comparable when seal
-- keys come and go. The newest one that opens is used; a row is added where none does.
CREATE TABLE audit_key (
  id         INTEGER PRIMARY KEY,
  key_sealed BLOB    NOT NULL
) STRICT;
