SELECT 'table ' || p.name, 'by ' || r.ident || coalesce(v.through, ''), format(v.template, 'TRUNCATE ON ' || p.name)
FROM protected p JOIN reach r ON r.relid = p.oid
LEFT JOIN revokes v ON v.role = r.role AND v.class = 'pg_class'::regclass AND v.object = p.oid
     AND v.privilege = 'TRUNCATE'
WHERE r.may_truncate AND p.relkind IN ('r', 'p')
  AND NOT pg_has_role(r.role, p.relowner, 'USAGE')
