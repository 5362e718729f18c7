SELECT DISTINCT 'function ' || f.name, f.how, NULL::text
FROM unsealed, text_runners f
WHERE unsealed.holds AND f.is_quoted
  AND (EXISTS (SELECT FROM roles r WHERE has_function_privilege(r.oid, f.oid, 'EXECUTE')
                 AND has_schema_privilege(r.oid, f.pronamespace, 'USAGE')
                 AND f.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype))
    OR EXISTS (SELECT FROM pg_trigger g JOIN reach r ON r.relid = g.tgrelid
               WHERE g.tgfoid = f.oid AND NOT g.tgisinternal AND g.tgenabled <> 'D'
                 AND (r.may_insert OR r.may_update OR r.may_delete)))
