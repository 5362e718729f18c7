SELECT 'table ' || p.name, 'by ' || r.ident, format('REVOKE TRUNCATE ON %s %s;', p.name, r.from_whom)
FROM protected p JOIN reach r ON r.relid = p.oid
WHERE r.may_truncate AND p.relkind IN ('r', 'p')
  AND NOT pg_has_role(r.role, p.relowner, 'USAGE')
