-- A transaction that began before the proxy sealed, or under a key that is to be
-- forgotten, would see no rows any more: those that the role runs now, or one that
-- was made its member, may end first. Sessions of other roles are seen by pid and role alone, whose
-- transactions show as locks on their own ids.
DO $pgtenant$
DECLARE
    others text[];
    patience constant timestamptz := clock_timestamp() + interval '@patience@';
BEGIN
    IF NOT @policies@ AND NOT EXISTS (SELECT FROM pg_catalog.pg_policies
        WHERE policyname ~ '^pgtenant_seal(_|$)' AND concat(qual, with_check) ~ @seal_pattern@) THEN
        RETURN;
    END IF;
    SELECT pg_catalog.array_agg(l.pid || ' ' || l.virtualtransaction) INTO others
        FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
        WHERE l.locktype = 'virtualxid' AND l.granted
            AND (a.usename = @role@ OR EXISTS (SELECT FROM pg_catalog.pg_auth_members m
                JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
                WHERE g.rolname = @role@ AND m.member = a.usesysid))
            AND a.datname = pg_catalog.current_database()
            AND l.pid <> pg_catalog.pg_backend_pid();
    LOOP
        SELECT pg_catalog.array_agg(l.pid || ' ' || l.virtualtransaction) INTO others
            FROM pg_catalog.pg_locks l
            WHERE l.locktype = 'virtualxid' AND l.granted
                AND l.pid || ' ' || l.virtualtransaction = ANY (others);
        EXIT WHEN others IS NULL;
        IF clock_timestamp() > patience THEN
            RAISE EXCEPTION 'role % still runs transactions that began before, in the processes %',
                    @role@, (SELECT pg_catalog.string_agg(pg_catalog.split_part(other, ' ', 1), ', ')
                        FROM pg_catalog.unnest(others) AS other)
                USING ERRCODE = 'object_in_use', HINT =
                    'They would see no rows from now on: wait until they have ended, or end them, and run this again. Nothing has been changed.';
        END IF;
        PERFORM pg_catalog.pg_sleep(0.05);
    END LOOP;
END
$pgtenant$;
