-- The rate that a deposit in another currency than its account's is converted at, frozen when it was made: [rate, time, source],
-- empty where both have one currency.
ALTER TABLE cashier_transaction ADD COLUMN conversion TEXT NOT NULL DEFAULT '';
