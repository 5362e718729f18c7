SELECT DISTINCT 'foreign table ' || t.name, 'row-level security does not exist for foreign tables',
       format('REVOKE ALL ON %s %s;', t.name, r.from_whom)
FROM relations t JOIN reachable r ON r.relid = t.oid
WHERE t.relkind = 'f'
