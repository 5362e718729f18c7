-- Why the schema $1 is not to be copied: what others have written or may write
-- into it would be run as the role that copies it. No row: nothing is against it.
WITH schema AS (
    SELECT n.* FROM pg_catalog.pg_namespace n WHERE n.nspname = $1::text
)
SELECT format('%s belongs to "%s", and what "%s" wrote would be run as "%s"',
              o.name, r.rolname, r.rolname, current_user) AS refusal
FROM (
    SELECT 'it' AS name, nspowner AS owner FROM schema
  UNION ALL
    SELECT c.oid::regclass::text, c.relowner
    FROM pg_catalog.pg_class c JOIN schema ON c.relnamespace = schema.oid
  UNION ALL
    SELECT 'function ' || p.oid::regprocedure, p.proowner
    FROM pg_catalog.pg_proc p JOIN schema ON p.pronamespace = schema.oid
  UNION ALL
    SELECT 'type ' || t.oid::regtype, t.typowner
    FROM pg_catalog.pg_type t JOIN schema ON t.typnamespace = schema.oid
) o
JOIN pg_catalog.pg_roles r ON r.oid = o.owner
WHERE r.rolname <> current_user AND NOT r.rolsuper
UNION ALL
SELECT format('%s may create objects in it, and they would be run as "%s"',
              CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, current_user)
FROM schema CROSS JOIN LATERAL aclexplode(schema.nspacl) a
WHERE a.privilege_type = 'CREATE' AND a.grantee <> schema.nspowner
UNION ALL
SELECT format('it belongs to "%s": log in as this role', nspowner::regrole)
FROM schema WHERE NOT pg_has_role(nspowner, 'USAGE')
UNION ALL
SELECT 'there is no such schema' WHERE NOT EXISTS (SELECT FROM schema)
