-- With security_invoker the caller needs the rights on what the view reads itself.
SELECT DISTINCT 'view ' || v.name,
       format('it reads %s with the rights of its owner %s, whom the policies do not bind',
              string_agg(DISTINCT t.name, ', '), pg_get_userbyid(v.relowner))
       || coalesce(min(format('; with security_invoker it would fail, since its readers may not read %s: '
                              'let a role own it that the policies bind', lacking.names)), '')
       || CASE WHEN current_setting('server_version_num')::int < 150000
               THEN '; before PostgreSQL 15 only another owner helps, whom the policies bind' ELSE '' END,
       CASE WHEN current_setting('server_version_num')::int >= 150000 AND min(lacking.names) IS NULL
            THEN format('ALTER VIEW %s SET (security_invoker = true);', v.name) END
FROM relations v
JOIN reachable r ON r.relid = v.oid
JOIN view_uses u ON u.view = v.oid
JOIN protected t ON t.oid = u.used
JOIN bypassers b ON b.owner = v.relowner AND b.relid = t.oid
LEFT JOIN LATERAL (
    SELECT string_agg(DISTINCT o.name, ', ') AS names
    FROM pg_rewrite w JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
         AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> w.ev_class
    JOIN relations o ON o.oid = d.refobjid
    WHERE w.ev_class = v.oid
      AND NOT (has_any_column_privilege(r.role, o.oid, 'SELECT') AND has_schema_privilege(r.role, o.relnamespace, 'USAGE'))
) lacking ON true
WHERE v.relkind = 'v'
  AND NOT coalesce(v.reloptions::text ~* 'security_invoker=(true|on|1|yes)', false)
GROUP BY v.name, v.relowner
