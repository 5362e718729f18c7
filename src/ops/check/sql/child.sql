SELECT DISTINCT 'table ' || t.name,
       format('a %s of %s, whose policies do not apply when it is named itself',
              CASE WHEN t.relispartition THEN 'partition' ELSE 'child' END, parent.name)
       || coalesce('; the right is there' || nullif(v.through, ''), ''),
       format(v.template, 'ALL ON ' || t.name)
FROM relations t
JOIN ancestors a ON a.relid = t.oid
JOIN protected parent ON parent.oid = a.ancestor
JOIN reachable r ON r.relid = t.oid
LEFT JOIN revokes v ON v.role = r.role AND v.class = 'pg_class'::regclass AND v.object = t.oid AND v.privilege = '*'
WHERE t.relkind IN ('r', 'p') AND NOT t.relrowsecurity
