-- Which trading server a transaction's account is at, so that no change of settings can have it posted at another one: empty is the
-- embedded server, which every transaction so far was posted to. And the request that a trading server which posts in two phases
-- holds for an operation: what is recorded here is the only one that is ever approved for it; 0 is none.
ALTER TABLE cashier_transaction ADD COLUMN server TEXT NOT NULL DEFAULT '';
ALTER TABLE balance_operation ADD COLUMN request_order INTEGER NOT NULL DEFAULT 0;
