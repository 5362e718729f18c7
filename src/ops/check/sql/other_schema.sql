, own AS (
    SELECT r.oid AS role, r.rolname, n.oid AS schema, n.nspname
    FROM given, unnest(given.tenant_roles, given.tenant_schemas) AS pair (role, schema)
    JOIN roles r ON r.rolname = pair.role
    JOIN pg_namespace n ON n.nspname = pair.schema
)
SELECT DISTINCT 'schema ' || other.nspname,
       format('%s, the role of another tenant, may use it', mine.rolname)
       || coalesce(v.through, ', through membership: see PGT704'),
       format(v.template, format('ALL ON SCHEMA %I', other.nspname))
FROM own mine JOIN own other ON other.role <> mine.role
LEFT JOIN revokes v ON v.role = mine.role AND v.class = 'pg_namespace'::regclass AND v.object = other.schema
     AND v.privilege = '*'
WHERE has_schema_privilege(mine.role, other.schema, 'USAGE')
  AND NOT EXISTS (SELECT FROM own same WHERE same.role = mine.role AND same.schema = other.schema)
  AND NOT EXISTS (
      SELECT FROM pg_namespace n, aclexplode(n.nspacl) AS a
      WHERE n.oid = other.schema AND a.grantee = 0)
