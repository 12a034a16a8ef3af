-- What a start must read although it has an image of the books (host/src/strand/image.rs): the rows that changed since the
-- image was begun, noted by triggers, so that a row that an operator edits while the cashier is stopped is noted too.

-- The images that may be loaded. The seal is random and written after every commit that the image holds: a database has it
-- only if its journal reaches as far, so that an image of other books or of an abandoned history never matches.
CREATE TABLE books_image (
  seal       TEXT PRIMARY KEY,
  generation INTEGER NOT NULL, -- rows noted under it or a later one are applied again
  event      INTEGER NOT NULL  -- events above it are read again
) STRICT, WITHOUT ROWID;

-- Rises when an image is begun; nothing is noted while it is 0.
CREATE TABLE books_generation (
  id    INTEGER PRIMARY KEY CHECK (id = 1),
  value INTEGER NOT NULL,
  event INTEGER NOT NULL -- the highest event when the newest image was begun
) STRICT;

INSERT INTO books_generation VALUES (1, 0, 0);

CREATE TABLE changed_transaction (
  id         INTEGER PRIMARY KEY,
  generation INTEGER NOT NULL
) STRICT;

CREATE TABLE changed_operation (
  id         INTEGER PRIMARY KEY,
  generation INTEGER NOT NULL
) STRICT;

CREATE TRIGGER transaction_added AFTER INSERT ON cashier_transaction BEGIN
  REPLACE INTO changed_transaction SELECT new.id, value FROM books_generation WHERE value > 0;
END;

CREATE TRIGGER transaction_edited AFTER UPDATE ON cashier_transaction BEGIN
  REPLACE INTO changed_transaction SELECT new.id, value FROM books_generation WHERE value > 0;
END;

CREATE TRIGGER operation_added AFTER INSERT ON balance_operation BEGIN
  REPLACE INTO changed_operation SELECT new.id, value FROM books_generation WHERE value > 0;
END;

CREATE TRIGGER operation_edited AFTER UPDATE ON balance_operation BEGIN
  REPLACE INTO changed_operation SELECT new.id, value FROM books_generation WHERE value > 0;
END;

-- The cashier deletes none of these rows, renames none and adds no event below one that there was: whoever does makes every
-- image void, also one that is being made.
CREATE TRIGGER transaction_renamed AFTER UPDATE OF id ON cashier_transaction WHEN old.id <> new.id BEGIN
  DELETE FROM books_image;
  UPDATE books_generation SET value = value + 1;
END;

CREATE TRIGGER operation_renamed AFTER UPDATE OF id, transaction_id ON balance_operation
WHEN old.id <> new.id OR old.transaction_id <> new.transaction_id BEGIN
  DELETE FROM books_image;
  UPDATE books_generation SET value = value + 1;
END;

CREATE TRIGGER event_renamed AFTER UPDATE OF id, config_id, event_id ON provider_event
WHEN old.id <> new.id OR old.config_id <> new.config_id OR old.event_id <> new.event_id BEGIN
  DELETE FROM books_image;
  UPDATE books_generation SET value = value + 1;
END;

CREATE TRIGGER transaction_deleted AFTER DELETE ON cashier_transaction BEGIN
  DELETE FROM books_image;
  UPDATE books_generation SET value = value + 1;
END;

CREATE TRIGGER operation_deleted AFTER DELETE ON balance_operation BEGIN
  DELETE FROM books_image;
  UPDATE books_generation SET value = value + 1;
END;

CREATE TRIGGER event_deleted AFTER DELETE ON provider_event BEGIN
  DELETE FROM books_image;
  UPDATE books_generation SET value = value + 1;
END;

CREATE TRIGGER event_added AFTER INSERT ON provider_event
WHEN new.id <= (SELECT event FROM books_generation) BEGIN
  DELETE FROM books_image;
  UPDATE books_generation SET value = value + 1;
END;
