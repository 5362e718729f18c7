-- An index serves the policy if it begins with just what the policy compares.
SELECT DISTINCT 'table ' || t.name, 'no index that its policy can use begins with ' || k.key,
       format('CREATE INDEX ON %s (%s);', t.name, k.key)
FROM tenant_tables t JOIN reachable ON reachable.relid = t.oid,
LATERAL (
    SELECT DISTINCT c.attnum, CASE WHEN c.expression IS NULL OR same.is THEN quote_ident(c.attname)
                                   ELSE '(' || c.expression || ')' END AS key,
           CASE WHEN c.expression IS NULL OR same.is THEN NULL
                ELSE regexp_replace(lower(c.expression), '[()\s]', '', 'g') END AS plain
    FROM compared c
    JOIN pg_type y ON y.oid = c.atttypid,
    -- A cast between types of one representation is no other expression to an index.
    LATERAL (SELECT c.expression ~ '^\(*[^()]+\)*::text\)*$' AND coalesce(nullif(y.typbasetype, 0), y.oid)
                        IN ('text'::regtype, 'varchar'::regtype) AS is) same
    WHERE c.attrelid = t.oid AND c.direct
    UNION
    SELECT t.attnum, quote_ident(t.attname), NULL
    WHERE t.is_direct AND NOT EXISTS (SELECT FROM compared c WHERE c.attrelid = t.oid)
) k
WHERE t.relkind IN ('r', 'p') AND t.relrowsecurity
  AND NOT EXISTS (
      SELECT FROM pg_index i WHERE i.indrelid = t.oid AND i.indpred IS NULL AND i.indisvalid
        AND CASE WHEN k.plain IS NULL THEN i.indkey[0] = k.attnum
                 ELSE i.indkey[0] = 0
                      AND regexp_replace(lower(pg_get_indexdef(i.indexrelid, 1, false)), '[()\s]', '', 'g') = k.plain END)
