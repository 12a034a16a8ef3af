-- A declined or closed order is queried until and once at its expiry; the fact "last_query" ends that. Orders whose expiry
-- had passed by the newest time in this file were closed under the rule before: they are not queried again, so that a start
-- over years of rows floods no provider. Orders without an expiry count 14 days from their creation.
UPDATE cashier_transaction
   SET provider_facts = json_insert(
         CASE provider_facts WHEN '' THEN '[]' ELSE provider_facts END,
         '$[#]', json_array((SELECT seq FROM counters), updated_time, 'last_query'))
 WHERE status IN (5, 6) AND source = 0 AND reason_code <> 'EXPIRED'
   AND CASE expires_time WHEN 0 THEN created_time + 1209600 ELSE expires_time END
       <= (SELECT coalesce(max(updated_time), 0) FROM cashier_transaction);
