SELECT 'foreign server ' || s.srvname, format('%s may use it', r.rolname) || coalesce(v.through, ''),
       format(v.template, format('USAGE ON FOREIGN SERVER %I', s.srvname))
FROM pg_foreign_server s JOIN roles r ON has_server_privilege(r.oid, s.oid, 'USAGE')
LEFT JOIN revokes v ON v.role = r.oid AND v.class = 'pg_foreign_server'::regclass AND v.object = s.oid
     AND v.privilege = 'USAGE'
UNION ALL
SELECT 'foreign-data wrapper ' || w.fdwname, format('%s may make servers with it', r.rolname) || coalesce(v.through, ''),
       format(v.template, format('USAGE ON FOREIGN DATA WRAPPER %I', w.fdwname))
FROM pg_foreign_data_wrapper w JOIN roles r ON has_foreign_data_wrapper_privilege(r.oid, w.oid, 'USAGE')
LEFT JOIN revokes v ON v.role = r.oid AND v.class = 'pg_foreign_data_wrapper'::regclass AND v.object = w.oid
     AND v.privilege = 'USAGE'
