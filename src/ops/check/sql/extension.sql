SELECT 'extension ' || e.extname,
       format('%s can execute %s of its functions, such as %s', r.rolname, count(*), min(f.name)) || coalesce(min(nullif(v.through, '')), ''),
       string_agg(format(v.template, 'EXECUTE ON ROUTINE ' || f.name), ' ' ORDER BY f.name)
FROM pg_extension e
JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
     AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
JOIN routines f ON f.oid = d.objid
JOIN roles r ON has_function_privilege(r.oid, f.oid, 'EXECUTE')
     AND has_schema_privilege(r.oid, f.pronamespace, 'USAGE')
LEFT JOIN revokes v ON v.role = r.oid AND v.class = 'pg_proc'::regclass AND v.object = f.oid
     AND v.privilege = 'EXECUTE'
WHERE e.extname IN ('dblink', 'tablefunc', 'xml2', 'adminpack', 'pg_cron', 'plproxy', 'http',
                    'pg_net', 'pg_background', 'pageinspect', 'pg_walinspect', 'pg_dirtyread')
GROUP BY e.extname, r.rolname
