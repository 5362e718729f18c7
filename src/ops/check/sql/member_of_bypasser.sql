SELECT 'role ' || r.rolname,
       format('it is a member of %s, which %s', o.rolname,
              CASE WHEN o.rolsuper THEN 'is a superuser' ELSE 'has BYPASSRLS' END),
       format('REVOKE %I FROM %s;', o.rolname, r.ident)
FROM roles r JOIN pg_roles o ON o.oid <> r.oid AND (o.rolsuper OR o.rolbypassrls)
WHERE pg_has_role(r.oid, o.oid, 'MEMBER')
