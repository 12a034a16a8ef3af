-- Which further configs' gateways verified an event's bytes, so that an event that waits for its transaction is applied
-- under whichever of them turns out to own the payment. Rows made before name none.

ALTER TABLE provider_event ADD COLUMN also_verified_by TEXT NOT NULL DEFAULT ''; -- JSON [config id, …]; '' when there are none
ALTER TABLE unproven_event ADD COLUMN also_verified_by TEXT NOT NULL DEFAULT ''; -- always '': both tables have the same columns
