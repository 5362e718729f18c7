SELECT 'view ' || c.oid::regclass::text, r.rolname || ' can read it',
       format('REVOKE SELECT ON %s FROM PUBLIC, %s;', c.oid::regclass, r.ident)
FROM pg_extension e
JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
     AND d.classid = 'pg_class'::regclass AND d.deptype = 'e'
JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'v' AND c.relname = 'pg_stat_statements'
JOIN roles r ON has_table_privilege(r.oid, c.oid, 'SELECT')
     AND has_schema_privilege(r.oid, c.relnamespace, 'USAGE')
WHERE e.extname = 'pg_stat_statements'
