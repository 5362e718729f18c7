SELECT DISTINCT 'table ' || t.name, 'it has policies, which nobody asks',
       format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', t.name)
FROM relations t JOIN reachable ON reachable.relid = t.oid
WHERE t.relkind IN ('r', 'p') AND NOT t.relrowsecurity
  AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = t.oid)
