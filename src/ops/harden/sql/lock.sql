-- All locks at once: a client that waits for one of these tables while it holds
-- another must not be taken for a deadlock. So they are all had within less than
-- deadlock_timeout, or let go and tried for again; clients wait no longer than
-- that.
DO $pgtenant$
DECLARE
    tables text[];
    target text;
    begun timestamptz;
    remaining integer;
    budget constant integer := least(600, (SELECT setting::integer * 6 / 10
        FROM pg_settings WHERE name = 'deadlock_timeout'));
    patience constant timestamptz := clock_timestamp() + interval '60 s';
BEGIN
    SELECT array_agg(name ORDER BY name) INTO tables FROM pgtenant_locked;
    LOOP
        BEGIN
            begun := clock_timestamp();
            FOREACH target IN ARRAY coalesce(tables, '{}') LOOP
                remaining := budget - extract(epoch FROM clock_timestamp() - begun) * 1000;
                PERFORM set_config('lock_timeout', greatest(remaining, 1)::text, true);
                EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', target);
            END LOOP;
            EXIT;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            IF clock_timestamp() > patience THEN
                RAISE EXCEPTION 'the tables are in use all the time: no moment was found to lock them all'
                    USING ERRCODE = 'lock_not_available',
                    HINT = 'Nothing has been changed. Run it again when there are fewer long transactions.';
            END IF;
            PERFORM pg_sleep(0.1 + random() * 0.4);
        END;
    END LOOP;
    PERFORM set_config('lock_timeout', '10s', true);
END
$pgtenant$;
