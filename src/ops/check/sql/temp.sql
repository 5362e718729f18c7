SELECT 'database ' || d.datname, r.rolname || ' may make temporary tables',
       format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC, %s;', d.datname, r.ident)
FROM pg_database d JOIN roles r ON has_database_privilege(r.oid, d.oid, 'TEMPORARY')
WHERE d.datname = current_database()
