SELECT DISTINCT 'table ' || t.name, format('column %s: %s', t.attname, t.how)
       || CASE WHEN t.predicate IS NULL THEN '; which policy fits is for you to say' ELSE '' END,
       'ALTER TABLE ' || t.name || ' ENABLE ROW LEVEL SECURITY; '
       || 'CREATE POLICY tenant_isolation ON ' || t.name || ' USING (' || t.predicate || ');'
FROM tenant_tables t JOIN reachable ON reachable.relid = t.oid
WHERE t.relkind IN ('r', 'p') AND NOT t.relrowsecurity
  AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = t.oid)
  AND NOT EXISTS (SELECT FROM directories d WHERE d.relid = t.oid)
  AND NOT EXISTS (SELECT FROM ancestors a JOIN tenant_tables parent ON parent.oid = a.ancestor
                  WHERE a.relid = t.oid)
