-- What a policy, a view or a default calls must stay callable: there the seal helps.
SELECT DISTINCT 'function ' || f.name,
       f.how || CASE WHEN used.is THEN '; a policy, view or default calls it, so taking the right away would break them'
                     ELSE coalesce('; the right is there' || nullif(v.through, ''), '') END,
       CASE WHEN NOT used.is THEN format(v.template, 'EXECUTE ON ROUTINE ' || f.name) END
FROM unsealed, text_runners f JOIN roles r ON has_function_privilege(r.oid, f.oid, 'EXECUTE')
     AND has_schema_privilege(r.oid, f.pronamespace, 'USAGE')
LEFT JOIN revokes v ON v.role = r.oid AND v.class = 'pg_proc'::regclass AND v.object = f.oid
     AND v.privilege = 'EXECUTE',
LATERAL (SELECT f.oid IN (SELECT oid FROM of_policies) OR EXISTS (
             SELECT FROM pg_depend d WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid = f.oid
               AND d.classid IN ('pg_rewrite'::regclass, 'pg_attrdef'::regclass, 'pg_constraint'::regclass,
                                 'pg_class'::regclass)) AS is) used
WHERE unsealed.holds AND NOT f.is_quoted
  AND f.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
