SELECT DISTINCT 'schema ' || n.nspname, string_agg(DISTINCT a.privilege_type, ' and ') || ' is granted to PUBLIC',
       format('REVOKE ALL ON SCHEMA %I FROM PUBLIC;', n.nspname)
FROM given, pg_namespace n, aclexplode(n.nspacl) AS a
WHERE n.nspname = ANY (given.tenant_schemas) AND a.grantee = 0
GROUP BY n.nspname
