SELECT DISTINCT 'function ' || f.name, f.how,
       format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC, %s;', f.name, r.ident)
FROM unsealed, text_runners f JOIN roles r ON has_function_privilege(r.oid, f.oid, 'EXECUTE')
     AND has_schema_privilege(r.oid, f.pronamespace, 'USAGE')
WHERE unsealed.holds
  AND f.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
