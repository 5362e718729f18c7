SELECT 'foreign server ' || s.srvname, format('%s may use it', r.rolname),
       format('REVOKE USAGE ON FOREIGN SERVER %I FROM PUBLIC, %s;', s.srvname, r.ident)
FROM pg_foreign_server s JOIN roles r ON has_server_privilege(r.oid, s.oid, 'USAGE')
UNION ALL
SELECT 'foreign-data wrapper ' || w.fdwname, format('%s may make servers with it', r.rolname),
       format('REVOKE USAGE ON FOREIGN DATA WRAPPER %I FROM PUBLIC, %s;', w.fdwname, r.ident)
FROM pg_foreign_data_wrapper w JOIN roles r ON has_foreign_data_wrapper_privilege(r.oid, w.oid, 'USAGE')
