SELECT 'role ' || r.rolname,
       format('it is a member of %s, which %s', o.rolname,
              CASE WHEN o.rolsuper THEN 'is a superuser' ELSE 'has BYPASSRLS' END) || m.through,
       m.fix
FROM roles r JOIN pg_roles o ON o.oid <> r.oid AND (o.rolsuper OR o.rolbypassrls)
JOIN memberships m ON m.role = r.oid AND m.target = o.oid
