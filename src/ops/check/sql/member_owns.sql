SELECT 'role ' || m.rolname,
       format('it owns %s%s', min(pg_describe_object(d.classid, d.objid, 0)),
              CASE count(*) WHEN 1 THEN '' ELSE format(' and %s more', count(*) - 1) END),
       format('REASSIGN OWNED BY %s TO CURRENT_USER;', m.ident)
FROM members m
JOIN pg_shdepend d ON d.refclassid = 'pg_authid'::regclass AND d.refobjid = m.oid AND d.deptype = 'o'
LEFT JOIN pg_database b ON b.oid = d.dbid,
LATERAL pg_identify_object(d.classid, d.objid, 0) o
WHERE (d.dbid = 0 OR b.datname = current_database())
  AND o.schema IS DISTINCT FROM 'pg_temp' AND coalesce(o.schema, '') !~ '^pg_temp_'
  AND d.classid <> 'pg_largeobject'::regclass
GROUP BY m.rolname, m.ident
