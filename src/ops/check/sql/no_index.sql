SELECT DISTINCT 'table ' || t.name, 'no index begins with ' || quote_ident(t.attname),
       format('CREATE INDEX ON %s (%I);', t.name, t.attname)
FROM tenant_tables t JOIN reachable ON reachable.relid = t.oid
WHERE t.relkind IN ('r', 'p') AND t.relrowsecurity
  AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = t.oid AND i.indkey[0] = t.attnum
                    AND i.indpred IS NULL AND i.indisvalid)
