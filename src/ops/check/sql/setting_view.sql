SELECT DISTINCT 'view ' || v.name, 'it calls set_config' || coalesce('; the right is there' || nullif(x.through, ''), ''),
       format(x.template, 'ALL ON ' || v.name)
FROM unsealed, relations v JOIN reachable r ON r.relid = v.oid
LEFT JOIN revokes x ON x.role = r.role AND x.class = 'pg_class'::regclass AND x.object = v.oid AND x.privilege = '*'
WHERE unsealed.holds AND v.relkind = 'v' AND pg_get_viewdef(v.oid) ~* '\mset_config\M\s*\('
