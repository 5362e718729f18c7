SELECT 'role ' || m.rolname,
       format('it has rights of its own to %s%s', min(pg_describe_object(d.classid, d.objid, 0)),
              CASE count(*) WHEN 1 THEN '' ELSE format(' and %s more', count(*) - 1) END), NULL
FROM members m
JOIN pg_shdepend d ON d.refclassid = 'pg_authid'::regclass AND d.refobjid = m.oid AND d.deptype = 'a'
LEFT JOIN pg_database b ON b.oid = d.dbid
WHERE (d.dbid = 0 OR b.datname = current_database()) AND d.classid <> 'pg_database'::regclass
GROUP BY m.rolname
