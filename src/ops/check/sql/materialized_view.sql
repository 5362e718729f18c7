SELECT DISTINCT 'materialized view ' || v.name,
       'it holds rows of ' || string_agg(DISTINCT t.name, ', ')
       || coalesce('; the right is there' || nullif(x.through, ''), ''),
       format(x.template, 'ALL ON ' || v.name)
FROM relations v
JOIN reachable r ON r.relid = v.oid
JOIN view_uses u ON u.view = v.oid
JOIN protected t ON t.oid = u.used
LEFT JOIN revokes x ON x.role = r.role AND x.class = 'pg_class'::regclass AND x.object = v.oid AND x.privilege = '*'
WHERE v.relkind = 'm'
GROUP BY v.name, x.through, x.template
