-- What this role may read; of each table the column that says whose a row is.
WITH policies AS (
    SELECT p.polrelid, p.polname, p.polpermissive,
           concat(pg_get_expr(p.polqual, p.polrelid), ' ', pg_get_expr(p.polwithcheck, p.polrelid)) AS text
    FROM pg_catalog.pg_policy p
),
columns AS (
    SELECT a.attrelid, a.attnum, a.attname, a.attgenerated
    FROM pg_catalog.pg_attribute a WHERE a.attnum > 0 AND NOT a.attisdropped
),
compared AS (
    SELECT DISTINCT c.attrelid, c.attnum, c.attname
    FROM policies p JOIN columns c ON c.attrelid = p.polrelid
    WHERE {setting} <> ''
      AND (p.text ~ ('(^|[^.\w"])"?' || regexp_replace(c.attname, '(\W)', '\\\1', 'g')
                     || '"?\)*(::[a-z ]+)?\)* = [^=]{0,60}current_setting\(''' || regexp_replace({setting}, '(\W)', '\\\1', 'g'))
        OR p.text ~* ('current_setting\(''' || regexp_replace({setting}, '(\W)', '\\\1', 'g')
                      || '''[^=]{0,60} = \(*"?' || regexp_replace(c.attname, '(\W)', '\\\1', 'g') || '\M"?'))
),
names AS (
    SELECT attname, 1 AS rank FROM compared
    UNION
    SELECT usual, 2 FROM unnest(ARRAY['tenant_id', 'organization_id', 'organisation_id', 'org_id',
                                      'company_id', 'account_id']::name[]) AS usual
    WHERE {setting} <> '' AND NOT EXISTS (SELECT FROM compared)
),
owners AS (
    SELECT DISTINCT ON (c.attrelid) c.attrelid, c.attnum, c.attname
    FROM columns c
    LEFT JOIN compared d ON d.attrelid = c.attrelid AND d.attnum = c.attnum
    JOIN names n ON n.attname = c.attname
    -- The key of the tenants' own table is no tenant column elsewhere.
    WHERE d.attnum IS NOT NULL OR NOT EXISTS (
        SELECT FROM pg_catalog.pg_constraint k
        WHERE k.conrelid = c.attrelid AND k.contype = 'p' AND k.conkey = ARRAY[c.attnum])
    ORDER BY c.attrelid, d.attnum NULLS LAST, n.rank, c.attnum
)
SELECT n.nspname, c.relname, c.relkind::text, c.relrowsecurity::text, coalesce(o.attname, ''),
       -- The table of the tenants, to which tenant columns refer.
       EXISTS (SELECT FROM pg_catalog.pg_constraint k JOIN owners w ON w.attrelid = k.conrelid
               WHERE k.contype = 'f' AND k.confrelid = c.oid AND k.conkey = ARRAY[w.attnum])::text,
       -- Its rows refer to rows of tenants.
       EXISTS (SELECT FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class t ON t.oid = k.confrelid
               WHERE k.contype = 'f' AND k.conrelid = c.oid AND k.confrelid <> c.oid AND t.relrowsecurity)::text,
       EXISTS (SELECT FROM policies p WHERE p.polrelid = c.oid AND NOT p.polpermissive
                 AND p.polname ~ '^pgtenant_seal(_|$)' AND p.text ~ 'pgtenant\.tenant')::text,
       (EXISTS (SELECT FROM compared d WHERE d.attrelid = c.oid)
        OR EXISTS (SELECT FROM policies p WHERE p.polrelid = c.oid AND {setting} <> ''
                     AND strpos(p.text, {setting}) > 0))::text,
       has_table_privilege(c.oid, 'INSERT')::text, has_table_privilege(c.oid, 'UPDATE')::text,
       has_table_privilege(c.oid, 'DELETE')::text,
       (SELECT array_agg(a.attname::text ORDER BY a.attnum)::text FROM columns a
        WHERE a.attrelid = c.oid AND a.attgenerated = '')
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN owners o ON o.attrelid = c.oid
WHERE c.relkind IN ('r', 'p', 'v', 'm') AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'pgtenant')
  AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                  WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY c.relrowsecurity DESC, n.nspname, c.relname
