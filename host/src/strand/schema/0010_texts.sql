-- Comment and metadata leave the rows of transactions: these are written again at each change of a state and read at every
-- start, texts only where they are shown. The two columns stay, empty, because leaving them out would rewrite the whole table.

CREATE TABLE transaction_text (
  transaction_id INTEGER PRIMARY KEY,
  comment        TEXT NOT NULL,
  metadata_json  TEXT NOT NULL
) STRICT;

ALTER TABLE cashier_transaction ADD COLUMN has_texts INTEGER NOT NULL DEFAULT 0;
-- Comment, metadata and return URLs of the request; of rows made before, comment and metadata alone.
ALTER TABLE cashier_transaction ADD COLUMN stored_bytes INTEGER NOT NULL DEFAULT 0;

INSERT INTO transaction_text
SELECT id, comment, metadata_json FROM cashier_transaction WHERE comment <> '' OR metadata_json <> '{}';

UPDATE cashier_transaction
   SET has_texts = 1,
       stored_bytes = length(CAST(comment AS BLOB))
         + CASE metadata_json WHEN '{}' THEN 0 ELSE length(CAST(metadata_json AS BLOB)) END,
       comment = '',
       metadata_json = '{}'
 WHERE comment <> '' OR metadata_json <> '{}';
