-- The columns of the masked views, and whether each is its table's as it is. Of a
-- column that is, PostgreSQL prints the name alone, one a line.
SELECT c.relname::text, a.attname::text,
    definition.text ~ ('(^|\n) *(SELECT )?(t\.)?' || name.pattern || ',?(\n|$)')
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0,
LATERAL (SELECT pg_catalog.pg_get_viewdef(c.oid, true)) definition (text),
LATERAL (SELECT pg_catalog.regexp_replace(pg_catalog.quote_ident(a.attname), '([^[:alnum:]_"])', '\\\1', 'g')) name (pattern)
WHERE c.relkind = 'v' AND n.nspname = $1::text AND pg_catalog.pg_get_userbyid(c.relowner) = $2::text
    AND c.relname <> 'pgtenant_mask_key'
ORDER BY 1, a.attnum
