SELECT 'role ' || mine.rolname,
       'it is a member of ' || other.rolname || ', the role of another tenant' || m.through, m.fix
FROM given, roles mine JOIN roles other ON other.oid <> mine.oid
JOIN memberships m ON m.role = mine.oid AND m.target = other.oid
WHERE mine.rolname = ANY (given.tenant_roles) AND other.rolname = ANY (given.tenant_roles)
