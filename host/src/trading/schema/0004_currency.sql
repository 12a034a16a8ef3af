-- The currency of a balance beside the balance, written with it: its group's row may be lost, or be changed outside the
-- cashier, and may not rescale it. Never edited: changes are a new file.

-- '' where the group was gone when this was added. It says nothing of a balance of 0, which has no currency of its own.
ALTER TABLE account ADD COLUMN currency TEXT NOT NULL DEFAULT '';
ALTER TABLE account ADD COLUMN exponent INTEGER NOT NULL DEFAULT 0;

UPDATE account SET (currency, exponent) = (SELECT g.currency, g.exponent FROM account_group g WHERE g.name = group_name)
WHERE group_name IN (SELECT name FROM account_group);
