SELECT DISTINCT 'function ' || f.name,
       format('it runs as %s, whom the policies of %s do not bind', pg_get_userbyid(f.proowner),
              (SELECT string_agg(t.name, ', ' ORDER BY t.name)
               FROM bypassers b JOIN protected t ON t.oid = b.relid
               WHERE b.owner = f.proowner AND f.body ~ ('\m' || regexp_replace(lower(t.relname), '\W', '.', 'g') || '\M'))),
       format('ALTER ROUTINE %s SECURITY INVOKER;', f.name)
FROM routines f JOIN roles r ON has_function_privilege(r.oid, f.oid, 'EXECUTE')
     AND has_schema_privilege(r.oid, f.pronamespace, 'USAGE')
WHERE f.prosecdef AND NOT f.of_extension AND f.prorettype <> 'trigger'::regtype
  AND EXISTS (SELECT FROM bypassers b JOIN protected t ON t.oid = b.relid
              WHERE b.owner = f.proowner AND f.body ~ ('\m' || regexp_replace(lower(t.relname), '\W', '.', 'g') || '\M'))
