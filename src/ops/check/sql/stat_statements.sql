SELECT 'view ' || c.oid::regclass::text, r.rolname || ' can read it'
       || CASE WHEN v.template IS NULL THEN ' by a predefined role, see PGT105' ELSE v.through END,
       format(v.template, 'SELECT ON ' || c.oid::regclass)
FROM pg_extension e
JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
     AND d.classid = 'pg_class'::regclass AND d.deptype = 'e'
JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'v' AND c.relname = 'pg_stat_statements'
JOIN roles r ON has_table_privilege(r.oid, c.oid, 'SELECT')
     AND has_schema_privilege(r.oid, c.relnamespace, 'USAGE')
LEFT JOIN revokes v ON v.role = r.oid AND v.class = 'pg_class'::regclass AND v.object = c.oid AND v.privilege = 'SELECT'
WHERE e.extname = 'pg_stat_statements'
