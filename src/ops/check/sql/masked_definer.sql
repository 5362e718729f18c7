SELECT f.oid::pg_catalog.regprocedure::text, pg_catalog.pg_get_userbyid(f.proowner)::text
FROM pg_catalog.pg_proc f JOIN pg_catalog.pg_namespace n ON n.oid = f.pronamespace
WHERE f.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pgtenant')
    AND f.prorettype NOT IN ('pg_catalog.trigger'::pg_catalog.regtype, 'pg_catalog.event_trigger'::pg_catalog.regtype)
    AND pg_catalog.has_schema_privilege($1::text, n.oid, 'USAGE')
    AND pg_catalog.has_function_privilege($1::text, f.oid, 'EXECUTE')
ORDER BY 1
