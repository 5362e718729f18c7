SELECT DISTINCT 'table ' || t.name,
       format('a %s of %s, whose policies do not apply when it is named itself',
              CASE WHEN t.relispartition THEN 'partition' ELSE 'child' END, parent.name),
       format('REVOKE ALL ON %s %s;', t.name, r.from_whom)
FROM relations t
JOIN ancestors a ON a.relid = t.oid
JOIN protected parent ON parent.oid = a.ancestor
JOIN reachable r ON r.relid = t.oid
WHERE t.relkind IN ('r', 'p') AND NOT t.relrowsecurity
