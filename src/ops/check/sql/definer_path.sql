SELECT DISTINCT 'function ' || f.name, 'search_path is the caller''s',
       format('ALTER ROUTINE %s SET search_path = pg_catalog, %I, pg_temp;', f.name, f.nspname)
FROM routines f JOIN roles r ON has_function_privilege(r.oid, f.oid, 'EXECUTE')
     AND has_schema_privilege(r.oid, f.pronamespace, 'USAGE')
WHERE f.prosecdef AND NOT f.of_extension
  AND NOT EXISTS (SELECT FROM unnest(f.proconfig) AS c WHERE c ~* '^search_path=')
