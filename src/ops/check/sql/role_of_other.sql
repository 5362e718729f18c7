SELECT 'role ' || mine.rolname, 'it is a member of ' || other.rolname || ', the role of another tenant',
       format('REVOKE %s FROM %s;', other.ident, mine.ident)
FROM given, roles mine JOIN roles other ON other.oid <> mine.oid
WHERE mine.rolname = ANY (given.tenant_roles) AND other.rolname = ANY (given.tenant_roles)
  AND pg_has_role(mine.oid, other.oid, 'MEMBER')
