-- What shows that a balance was changed by anything but a posting or an import. Never edited: changes are a new file.

-- The balance as the cashier wrote it, in the same statement as balance_minor: an outside edit of one leaves the other.
ALTER TABLE account ADD COLUMN recorded_minor INTEGER NOT NULL DEFAULT 0;

UPDATE account SET recorded_minor = balance_minor;

-- Raised by one in every write transaction: a second writer finds another value than it has written.
INSERT INTO counter (name, value) VALUES ('sequence', 0);
