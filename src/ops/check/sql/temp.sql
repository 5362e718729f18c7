SELECT 'database ' || d.datname, r.rolname || ' may make temporary tables' || coalesce(v.through, ''),
       format(v.template, format('TEMPORARY ON DATABASE %I', d.datname))
FROM pg_database d JOIN roles r ON has_database_privilege(r.oid, d.oid, 'TEMPORARY')
LEFT JOIN revokes v ON v.role = r.oid AND v.class = 'pg_database'::regclass AND v.object = d.oid
     AND v.privilege = 'TEMPORARY'
WHERE d.datname = current_database()
