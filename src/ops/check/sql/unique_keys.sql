SELECT 'constraint ' || quote_ident(c.conname) || ' on ' || t.name,
       format('UNIQUE (%s) without %s', columns.list, quote_ident(t.attname)),
       -- What foreign keys refer to has to stay.
       CASE WHEN NOT EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.confrelid = t.oid
                               AND f.conindid = c.conindid)
       THEN format('ALTER TABLE %s DROP CONSTRAINT %I, ADD %s;', t.name, c.conname,
              regexp_replace(pg_get_constraintdef(c.oid), '^(UNIQUE[A-Z ]*) \(',
                             '\1 (' || replace(quote_ident(t.attname), '\', '\\') || ', ')) END
FROM tenant_tables t
JOIN pg_constraint c ON c.conrelid = t.oid AND c.contype = 'u' AND c.conparentid = 0,
LATERAL (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.position) AS list,
                bool_and(a.atttypid = 'uuid'::regtype) AS random
         FROM unnest(c.conkey) WITH ORDINALITY AS k (attnum, position)
         JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum) columns
WHERE t.attnum <> ALL (c.conkey) AND NOT columns.random
  AND NOT EXISTS (SELECT FROM directories d WHERE d.relid = t.oid)
  AND EXISTS (SELECT FROM reach r WHERE r.relid = t.oid AND (r.may_insert OR r.may_update))
UNION ALL
SELECT 'constraint ' || quote_ident(c.conname) || ' on ' || t.name,
       pg_get_constraintdef(c.oid) || ' without ' || quote_ident(t.attname), NULL
FROM tenant_tables t
JOIN pg_constraint c ON c.conrelid = t.oid AND c.contype = 'x' AND c.conparentid = 0
WHERE t.attnum <> ALL (c.conkey)
  AND NOT EXISTS (SELECT FROM directories d WHERE d.relid = t.oid)
  AND EXISTS (SELECT FROM reach r WHERE r.relid = t.oid AND (r.may_insert OR r.may_update))
UNION ALL
SELECT 'index ' || i.indexrelid::regclass, 'unique, without ' || quote_ident(t.attname),
       format('DROP INDEX %s; %s;', i.indexrelid::regclass,
              regexp_replace(pg_get_indexdef(i.indexrelid), '(USING \w+) \(',
                             '\1 (' || replace(quote_ident(t.attname), '\', '\\') || ', '))
FROM tenant_tables t JOIN pg_index i ON i.indrelid = t.oid AND i.indisunique,
LATERAL (SELECT bool_and(coalesce(a.atttypid = 'uuid'::regtype, false)) AS random
         FROM generate_series(1, i.indnkeyatts) AS n
         LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = i.indkey[n - 1]
                                 AND a.attnum > 0) columns
WHERE t.attnum <> ALL (i.indkey::int2[]) AND NOT columns.random
  AND NOT EXISTS (SELECT FROM directories d WHERE d.relid = t.oid)
  AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid
                    AND c.contype IN ('p', 'u', 'x'))
  AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = i.indexrelid)
  AND EXISTS (SELECT FROM reach r WHERE r.relid = t.oid AND (r.may_insert OR r.may_update))
