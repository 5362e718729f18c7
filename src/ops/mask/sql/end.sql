-- What a masked login may read in clear, and may do it with, is found before anything
-- is committed.
DO $pgtenant$
DECLARE
    reason text;
    called text;
BEGIN
    SELECT string_agg(w.reason, E'\n') INTO reason FROM (@clear@) AS w (reason) WHERE w.reason IS NOT NULL;
    IF reason IS NOT NULL THEN
        RAISE EXCEPTION E'role % could read what is not masked:\n%', @role@, reason
            USING HINT = 'Take these rights away, and run this again. Nothing has been changed.';
    END IF;
    FOR called IN
        SELECT f.oid::regprocedure::text FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
        WHERE f.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pgtenant')
            AND has_schema_privilege(@role@, n.oid, 'USAGE') AND has_function_privilege(@role@, f.oid, 'EXECUTE')
            AND f.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
        ORDER BY 1
    LOOP
        INSERT INTO pgtenant_report VALUES (format('WARNING: masked logins may call %s, which runs with the rights '
            'of its owner and may show what is masked: REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', called, called));
    END LOOP;
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        REVOKE @ident_owner@ FROM CURRENT_USER;
    END IF;
END
$pgtenant$;
