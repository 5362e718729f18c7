SELECT 'constraint ' || quote_ident(c.conname) || ' on ' || t.name,
       format('PRIMARY KEY (%s) can be guessed', columns.list), NULL
FROM tenant_tables t JOIN pg_constraint c ON c.conrelid = t.oid AND c.contype = 'p' AND c.conparentid = 0,
LATERAL (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.position) AS list,
                bool_and(a.atttypid = 'uuid'::regtype) AS random
         FROM unnest(c.conkey) WITH ORDINALITY AS k (attnum, position)
         JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum) columns
WHERE t.attnum <> ALL (c.conkey) AND NOT columns.random
  AND EXISTS (SELECT FROM reach r WHERE r.relid = t.oid AND r.may_insert)
