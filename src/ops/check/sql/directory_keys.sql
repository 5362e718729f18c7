SELECT 'index ' || i.indexrelid::regclass, format('unique in %s: %s', t.name, pg_get_indexdef(i.indexrelid, 1, false)),
       NULL::text
FROM relations t JOIN pg_index i ON i.indrelid = t.oid AND i.indisunique AND NOT i.indisprimary
WHERE EXISTS (SELECT FROM directories d WHERE d.relid = t.oid AND d.attnum <> ALL (i.indkey::int2[]))
  AND EXISTS (SELECT FROM reach r WHERE r.relid = t.oid AND (r.may_insert OR r.may_update))
