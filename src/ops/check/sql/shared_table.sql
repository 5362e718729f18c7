SELECT DISTINCT 'table ' || t.name,
       CASE WHEN bool_or(r.may_insert OR r.may_update OR r.may_delete)
            THEN 'every tenant can read and change what is in it' ELSE 'every tenant can read it' END, NULL::text
FROM relations t JOIN reachable r ON r.relid = t.oid
WHERE t.relkind IN ('r', 'p') AND NOT t.relrowsecurity AND NOT t.relispartition
  AND t.oid NOT IN (SELECT oid FROM protected)
  AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = t.oid)
  AND NOT EXISTS (SELECT FROM ancestors a JOIN protected parent ON parent.oid = a.ancestor WHERE a.relid = t.oid)
GROUP BY t.name, t.oid
HAVING NOT EXISTS (
    SELECT FROM pg_constraint c JOIN protected o ON o.oid = c.confrelid
    WHERE c.contype = 'f' AND c.conrelid = t.oid AND o.oid NOT IN (SELECT relid FROM directories))
