SELECT DISTINCT 'table ' || t.name,
       format('its column %s is the tenant''s id; %s', t.attname,
              CASE WHEN bool_or(r.may_insert OR r.may_update OR r.may_delete)
                   THEN 'every tenant can read and change the list of all of them'
                   ELSE 'every tenant can read the list of all of them' END),
       'ALTER TABLE ' || t.name || ' ENABLE ROW LEVEL SECURITY; '
       || 'CREATE POLICY tenant_isolation ON ' || t.name || ' USING (' || t.predicate || ');'
FROM tenant_tables t
JOIN directories d ON d.relid = t.oid
JOIN reachable r ON r.relid = t.oid
WHERE t.relkind IN ('r', 'p') AND NOT t.relrowsecurity
  AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = t.oid)
GROUP BY t.name, t.attname, t.predicate
