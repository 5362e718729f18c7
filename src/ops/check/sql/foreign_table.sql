SELECT DISTINCT 'foreign table ' || t.name, 'row-level security does not exist for foreign tables'
       || coalesce('; the right is there' || nullif(v.through, ''), ''),
       format(v.template, 'ALL ON ' || t.name)
FROM relations t JOIN reachable r ON r.relid = t.oid
LEFT JOIN revokes v ON v.role = r.role AND v.class = 'pg_class'::regclass AND v.object = t.oid AND v.privilege = '*'
WHERE t.relkind = 'f'
