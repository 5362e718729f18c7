primary_keys AS (
    SELECT conrelid, conkey FROM pg_constraint WHERE contype = 'p'
),
-- The table whose rows are the tenants: what tenant columns refer to, where a
-- policy compares the primary key itself, or by its name: organizations for
-- organization_id.
directories AS (
    SELECT c.confrelid AS relid, c.confkey[p.position] AS attnum
    FROM compared t
    JOIN pg_constraint c ON c.contype = 'f' AND c.conrelid = t.attrelid
    JOIN LATERAL unnest(c.conkey) WITH ORDINALITY AS p (attnum, position) ON p.attnum = t.attnum
    WHERE cardinality(c.conkey) = 1 AND t.direct
    UNION
    SELECT t.attrelid, t.attnum FROM compared t
    JOIN primary_keys k ON k.conrelid = t.attrelid AND k.conkey = ARRAY[t.attnum]
    WHERE t.direct
    UNION
    SELECT r.oid, a.attnum
    FROM (SELECT DISTINCT attname, atttypid FROM compared WHERE direct AND attname ~ '_id$') t
    CROSS JOIN LATERAL (SELECT left(t.attname, -3) AS stem) s
    JOIN relations r ON r.relkind IN ('r', 'p')
         AND r.relname IN (stem, stem || 's', regexp_replace(stem, 'y$', 'ies'))
    JOIN primary_keys k ON k.conrelid = r.oid AND cardinality(k.conkey) = 1
    JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = k.conkey[1] AND a.atttypid = t.atttypid
),
-- How each column is compared, by its name, and how most are.
learnt AS (
    SELECT DISTINCT ON (t.attname) t.*, count(*) OVER (PARTITION BY t.attname) AS times
    FROM compared t
    -- The key of the tenants' own table is no tenant column elsewhere.
    WHERE NOT EXISTS (SELECT FROM directories d WHERE d.relid = t.attrelid AND d.attnum = t.attnum)
      AND NOT EXISTS (SELECT FROM primary_keys k WHERE k.conrelid = t.attrelid AND k.conkey = ARRAY[t.attnum])
    ORDER BY t.attname, t.direct DESC, t.bare DESC, t.whole IS NULL, t.policy
),
usual AS (
    SELECT * FROM compared WHERE direct
    ORDER BY bare DESC, reading IS NULL, policy LIMIT 1
),
candidates AS (
    SELECT attrelid, attnum, 1 AS rank, CASE WHEN direct THEN 0 ELSE 1 END AS place, direct,
           'its policy compares it with the setting' AS how FROM compared
    UNION ALL
    SELECT relid, attnum, 2, 0, true, 'tenant columns refer to it' FROM directories
    UNION ALL
    SELECT c.conrelid, p.attnum, 3, 0, true, 'it refers to the table of the tenants'
    FROM directories d
    JOIN pg_constraint c ON c.contype = 'f' AND c.confrelid = d.relid
    JOIN LATERAL unnest(c.conkey, c.confkey) AS p (attnum, target) ON p.target = d.attnum
    UNION ALL
    SELECT a.attrelid, a.attnum, CASE WHEN a.atttypid = l.atttypid THEN 4 ELSE 5 END, 0, l.direct,
           'policies of other tables compare a column of this name'
           || CASE WHEN a.atttypid = l.atttypid THEN ''
                   ELSE format(', there of type %s and here %s', l.atttypid::regtype, a.atttypid::regtype) END
    FROM learnt l JOIN pg_attribute a ON a.attname = l.attname
    JOIN pg_type y ON y.oid = a.atttypid
    WHERE a.attnum > 0 AND NOT a.attisdropped
      AND (y.typcategory IN ('S', 'N') OR y.oid = 'uuid'::regtype OR a.atttypid = l.atttypid)
    UNION ALL
    -- Names alone tell only where no policy tells more.
    SELECT a.attrelid, a.attnum, 6, u.place::int, true, 'its name is usual for a tenant column'
    FROM pg_attribute a
    JOIN unnest(ARRAY['tenant_id', 'organization_id', 'organisation_id', 'org_id', 'company_id',
                      'account_id']) WITH ORDINALITY AS u (name, place) ON u.name = a.attname
    WHERE a.attnum > 0 AND NOT a.attisdropped AND NOT EXISTS (SELECT FROM compared)
),
-- Tables whose rows belong to tenants, with the column that says to which, and
-- the condition that keeps them apart, as other policies have it: never a cast
-- with a length, which would cut the tenant's id.
tenant_tables AS (
    SELECT DISTINCT ON (r.oid) r.*, a.attnum, a.attname, a.atttypid, c.rank, c.how,
           c.direct AS is_direct,
           CASE
               -- Two columns that refer to tenants: which one says whose the row is?
               WHEN c.rank = 3 AND (SELECT count(DISTINCT o.attnum) FROM candidates o
                                    WHERE o.attrelid = r.oid AND o.rank = 3) > 1 THEN NULL
               WHEN l.attname IS NULL OR l.bare
                   THEN format('%I = (SELECT current_setting(%L))::%s', a.attname, given.setting,
                               format_type(b.base, -1))
               WHEN l.direct AND l.reading IS NOT NULL AND l.atttypid = a.atttypid
                   THEN format('%I = %s', a.attname, l.reading)
               WHEN l.direct AND l.reading IS NOT NULL
                   THEN format('%I = (%s)::%s', a.attname, l.reading, format_type(b.base, -1))
               WHEN l.attname = a.attname AND l.atttypid = a.atttypid THEN l.whole
           END AS predicate
    FROM given, candidates c
    JOIN relations r ON r.oid = c.attrelid
    JOIN pg_attribute a ON a.attrelid = c.attrelid AND a.attnum = c.attnum
    JOIN LATERAL (SELECT coalesce(nullif(y.typbasetype, 0), y.oid) AS base
                  FROM pg_type y WHERE y.oid = a.atttypid) b ON true
    LEFT JOIN LATERAL (
        SELECT * FROM (
            SELECT 1 AS nearest, x.attname, x.atttypid, x.direct, x.bare, x.reading, x.whole
            FROM compared x WHERE x.attrelid = r.oid AND x.attnum = a.attnum
            UNION ALL
            SELECT 2, x.attname, x.atttypid, x.direct, x.bare, x.reading, x.whole FROM learnt x WHERE x.attname = a.attname
            UNION ALL
            SELECT 3, x.attname, x.atttypid, x.direct, x.bare, x.reading, x.whole FROM usual x
        ) known ORDER BY nearest, direct DESC, bare DESC, whole IS NULL LIMIT 1
    ) l ON true
    WHERE given.setting <> '' AND r.relkind IN ('r', 'p', 'f')
    ORDER BY r.oid, c.rank, c.place, a.attnum
),
-- These, and others whose policies read the setting.
protected AS (
    SELECT r.*, t.attnum, t.attname, t.how,
           coalesce(t.predicate, (SELECT p.qual FROM policies p
                                  WHERE p.polrelid = r.oid AND p.qual_reads LIMIT 1)) AS predicate
    FROM relations r LEFT JOIN tenant_tables t ON t.oid = r.oid
    WHERE t.oid IS NOT NULL
       OR EXISTS (SELECT FROM policies p
                  WHERE p.polrelid = r.oid AND (p.qual_reads OR p.checks_read))
),
ancestors AS (
    SELECT inhrelid AS relid, inhparent AS ancestor FROM pg_inherits
    UNION
    SELECT a.relid, i.inhparent FROM ancestors a JOIN pg_inherits i ON i.inhrelid = a.ancestor
),
