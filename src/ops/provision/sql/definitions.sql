sequence AS (
    SELECT s.seqrelid, format(
        'INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s%s CYCLE',
        s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcache,
        CASE WHEN s.seqcycle THEN '' ELSE ' NO' END) AS options
    FROM pg_catalog.pg_sequence s
),
attribute AS (
    SELECT a.*, c.relkind, quote_ident(a.attname) AS name, format(
        '%I %s%s', a.attname, format_type(a.atttypid, a.atttypmod),
        CASE WHEN a.attcollation <> t.typcollation AND a.attcollation <> 0
             THEN ' COLLATE ' || a.attcollation::regcollation ELSE '' END) AS base,
        t.typstorage
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    JOIN schema ON c.relnamespace = schema.oid
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'v', 'm', 'c')
),
-- What an index is, but for its expressions.
index AS (
    SELECT i.*, CASE WHEN i.indexprs IS NULL AND i.indpred IS NULL THEN NULL ELSE format(
        'INDEX %s ON %s USING %I (%s) %s %s %s %s', i.indexrelid::regclass, i.indrelid::regclass,
        m.amname,
        (SELECT string_agg(CASE i.indkey[n - 1] WHEN 0 THEN '' ELSE
                               pg_get_indexdef(i.indexrelid, n, true) END, ', ' ORDER BY n)
         FROM generate_series(1, i.indnatts) n),
        (SELECT array_agg(l::regcollation::text) FROM unnest(i.indcollation) l),
        x.reloptions, i.indpred IS NULL, to_jsonb(i) - ARRAY['indexrelid', 'indrelid', 'indkey',
            'indcollation', 'indexprs', 'indpred', 'indcheckxmin', 'indisclustered']) END AS frame
    FROM relation c JOIN pg_catalog.pg_index i ON i.indrelid = c.oid
    JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
    JOIN pg_catalog.pg_am m ON m.oid = x.relam
),
-- The statements. PostgreSQL writes an expression of a copy not always as that of the
-- original: `a IN ('x')` of a varchar gets its casts in another place. So each that has
-- expressions has a frame too: what it makes, without them. Step 20 is after all else.
made (unit_class, unit, step, sql, frame) AS (
    -- Types.
    SELECT 'pg_catalog.pg_collation'::regclass, l.oid, 0, format(
        'CREATE COLLATION %s (provider = %s%s%s%s)', l.oid::regcollation,
        CASE l.collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END,
        CASE l.collprovider
        WHEN 'c' THEN format(', lc_collate = %L, lc_ctype = %L', l.collcollate, l.collctype)
        ELSE format(', locale = %L', coalesce(to_jsonb(l) ->> 'colllocale',
                                              to_jsonb(l) ->> 'colliculocale', l.collcollate)) END,
        CASE WHEN NOT l.collisdeterministic THEN ', deterministic = false' END,
        ', rules = ' || quote_literal(to_jsonb(l) ->> 'collicurules')), NULL
    FROM pg_catalog.pg_collation l JOIN schema ON l.collnamespace = schema.oid
  UNION ALL
    SELECT 'pg_catalog.pg_type'::regclass, t.oid, 0,
           CASE t.typtype
           WHEN 'e' THEN format('CREATE TYPE %s AS ENUM (%s)', t.oid::regtype, (
               SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
               FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid))
           WHEN 'c' THEN format('CREATE TYPE %s AS (%s)', t.oid::regtype, (
               SELECT string_agg(a.base, ', ' ORDER BY a.attnum)
               FROM attribute a WHERE a.attrelid = t.typrelid))
           ELSE format('CREATE DOMAIN %s AS %s%s%s%s%s', t.oid::regtype,
               format_type(t.typbasetype, t.typtypmod),
               CASE WHEN t.typcollation <> b.typcollation
                    THEN ' COLLATE ' || t.typcollation::regcollation ELSE '' END,
               ' DEFAULT ' || pg_get_expr(t.typdefaultbin, 0),
               CASE WHEN t.typnotnull THEN ' NOT NULL' END,
               (SELECT string_agg(format(' CONSTRAINT %I %s', k.conname,
                                         pg_get_constraintdef(k.oid)), '' ORDER BY k.conname)
                FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'))
           END,
           CASE WHEN t.typtype = 'd' THEN format('DOMAIN %s AS %s COLLATE %s %s DEFAULT %s CHECK %s',
               t.oid::regtype, format_type(t.typbasetype, t.typtypmod), t.typcollation::regcollation,
               t.typnotnull, t.typdefaultbin IS NOT NULL,
               (SELECT string_agg(format('%I %s', k.conname, k.convalidated), ', ' ORDER BY k.conname)
                FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c')) END
    FROM type t LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype
  UNION ALL
    -- Tables, with generated and identity columns; all else comes after.
    SELECT 'pg_catalog.pg_class'::regclass, c.oid, 0, replace(t.sql, E'\x01', ''),
           CASE WHEN t.sql ~ '\x01' THEN regexp_replace(t.sql, '\x01[^\x01]*\x01', '', 'g') END
    FROM relation c CROSS JOIN LATERAL (SELECT format(
        'CREATE %sTABLE %s (%s)%s%s',
        CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED ' END, c.oid::regclass,
        (SELECT string_agg(a.base
            || CASE WHEN a.attgenerated = '' THEN '' ELSE format(
                   E' GENERATED ALWAYS AS (\x01%s\x01)%s', pg_get_expr(d.adbin, d.adrelid),
                   CASE a.attgenerated WHEN 's' THEN ' STORED' ELSE ' VIRTUAL' END) END
            || CASE WHEN a.attidentity = '' THEN '' ELSE format(
                   ' GENERATED %s AS IDENTITY (SEQUENCE NAME %s %s)',
                   CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END,
                   i.sequence::regclass, s.options) END
            || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END, ', ' ORDER BY a.attnum)
         FROM attribute a
         LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
         LEFT JOIN identity i ON i.relation = a.attrelid AND i.attnum = a.attnum
         LEFT JOIN sequence s ON s.seqrelid = i.sequence
         WHERE a.attrelid = c.oid),
        CASE WHEN m.amname <> 'heap' THEN ' USING ' || quote_ident(m.amname) END,
        ' WITH (' || (SELECT string_agg(format('%s=%L', split_part(o, '=', 1),
                                               substr(o, strpos(o, '=') + 1)), ', ')
                      FROM unnest(c.reloptions) o) || ')') AS sql
        FROM (SELECT) one LEFT JOIN pg_catalog.pg_am m ON m.oid = c.relam) t
    WHERE c.relkind = 'r'
  UNION ALL
    SELECT 'pg_catalog.pg_class'::regclass, a.attrelid, 1, format(
        'ALTER TABLE %s ALTER COLUMN %s SET %s', a.attrelid::regclass, a.name, o.text), NULL
    FROM attribute a CROSS JOIN LATERAL (VALUES
        (CASE WHEN a.attstorage <> a.typstorage THEN 'STORAGE ' || CASE a.attstorage
             WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL'
             WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END),
        (CASE a.attcompression WHEN 'p' THEN 'COMPRESSION pglz'
                               WHEN 'l' THEN 'COMPRESSION lz4' END),
        (CASE WHEN a.attstattarget >= 0 THEN 'STATISTICS ' || a.attstattarget END),
        -- The server keeps notes of its own there too.
        ('(' || (SELECT string_agg(o, ', ') FROM unnest(a.attoptions) o
                 WHERE split_part(o, '=', 1) IN ('n_distinct', 'n_distinct_inherited')) || ')')
        ) o (text)
    WHERE a.relkind = 'r' AND o.text IS NOT NULL
  UNION ALL
    -- FORCE makes the policies apply to the owner, also as it adds a foreign key or
    -- fills a materialized view.
    SELECT 'pg_catalog.pg_class'::regclass, c.oid, o.step,
           format('ALTER TABLE %s %s', c.oid::regclass, o.text), NULL
    FROM relation c CROSS JOIN LATERAL (VALUES
        (2, CASE WHEN c.relrowsecurity THEN 'ENABLE ROW LEVEL SECURITY' END),
        (20, CASE WHEN c.relforcerowsecurity THEN 'FORCE ROW LEVEL SECURITY' END),
        (2, CASE c.relreplident WHEN 'n' THEN 'REPLICA IDENTITY NOTHING'
                                WHEN 'f' THEN 'REPLICA IDENTITY FULL' END)) o (step, text)
    WHERE c.relkind = 'r' AND o.text IS NOT NULL
  UNION ALL
    -- Sequences of their own, or of a serial column.
    SELECT 'pg_catalog.pg_class'::regclass, c.oid, 0, format(
        'CREATE %sSEQUENCE %s AS %s %s%s',
        CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED ' END, c.oid::regclass,
        format_type(q.seqtypid, NULL), s.options,
        ' OWNED BY ' || (
            SELECT format('%s.%I', d.refobjid::regclass, a.attname)
            FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_attribute a
                ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
            WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
              AND d.deptype = 'a' AND d.refclassid = 'pg_catalog.pg_class'::regclass)), NULL
    FROM relation c JOIN sequence s ON s.seqrelid = c.oid
    JOIN pg_catalog.pg_sequence q ON q.seqrelid = c.oid
    WHERE c.relkind = 'S' AND c.oid NOT IN (SELECT i.sequence FROM identity i)
  UNION ALL
    SELECT 'pg_catalog.pg_attrdef'::regclass, d.oid, 0, format(
        'ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s', a.attrelid::regclass, a.name,
        pg_get_expr(d.adbin, d.adrelid)),
        format('DEFAULT OF %s.%s', a.attrelid::regclass, a.name)
    FROM pg_catalog.pg_attrdef d
    JOIN attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum AND a.attgenerated = ''
  UNION ALL
    SELECT 'pg_catalog.pg_constraint'::regclass, k.oid, 0, format(
        'ALTER TABLE %s ADD CONSTRAINT %I %s', c.oid::regclass, k.conname,
        pg_get_constraintdef(k.oid)),
        CASE WHEN k.contype = 'c' OR i.frame IS NOT NULL THEN format(
            'CONSTRAINT %I ON %s %s %s %s %s', k.conname, c.oid::regclass, k.contype,
            k.conexclop, i.frame, to_jsonb(k) - ARRAY['oid', 'connamespace', 'conrelid',
                'contypid', 'conindid', 'conkey', 'conexclop', 'conbin']) END
    FROM relation c JOIN pg_catalog.pg_constraint k ON k.conrelid = c.oid
    LEFT JOIN index i ON i.indexrelid = k.conindid AND i.indrelid = c.oid
    WHERE k.contype NOT IN ('n', 't')
  UNION ALL
    SELECT 'pg_catalog.pg_class'::regclass, i.indexrelid, 0, pg_get_indexdef(i.indexrelid, 0, true),
           i.frame
    FROM index i
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k
                      WHERE k.conrelid = i.indrelid AND k.conindid = i.indexrelid
                        AND k.contype IN ('p', 'u', 'x'))
  UNION ALL
    SELECT o.unit_class, o.unit, 1, format(
        'ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', c.oid::regclass, x.relname), NULL
    FROM relation c JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisreplident
    JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
    JOIN object o ON o.class = 'pg_catalog.pg_class'::regclass AND o.id = i.indexrelid
  UNION ALL
    SELECT 'pg_catalog.pg_class'::regclass, c.oid, 0, format(
        'CREATE %s %s%s AS %s%s',
        CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'MATERIALIZED VIEW' END, c.oid::regclass,
        ' WITH (' || (SELECT string_agg(format('%s=%L', split_part(o, '=', 1),
                                               substr(o, strpos(o, '=') + 1)), ', ')
                      FROM unnest(c.reloptions) o) || ')',
        rtrim(pg_get_viewdef(c.oid), '; '),
        CASE WHEN c.relkind = 'm' AND NOT c.relispopulated THEN ' WITH NO DATA' END),
        format('VIEW %s %s %s %s (%s)', c.relkind, c.oid::regclass, c.reloptions, c.relispopulated,
            (SELECT string_agg(a.base, ', ' ORDER BY a.attnum)
             FROM attribute a WHERE a.attrelid = c.oid))
    FROM relation c WHERE c.relkind IN ('v', 'm')
  UNION ALL
    SELECT 'pg_catalog.pg_proc'::regclass, p.oid, 0, format(
        'CREATE %s %I(%s', CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END,
        p.proname, substr(pg_get_functiondef(p.oid), length(format(
            'CREATE OR REPLACE %s %I.%I(',
            CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, $1, p.proname)) + 1)),
        CASE WHEN to_jsonb(p) ->> 'prosqlbody' IS NOT NULL OR p.proargdefaults IS NOT NULL
             THEN format('FUNCTION %s RETURNS %s %s', p.oid::regprocedure,
                         pg_get_function_result(p.oid),
                         to_jsonb(p) - ARRAY['oid', 'pronamespace', 'proowner', 'provariadic',
                             'prorettype', 'proargtypes', 'proallargtypes', 'proargdefaults',
                             'protrftypes', 'prosqlbody', 'proacl']) END
    FROM function p WHERE p.prokind <> 'a'
  UNION ALL
    SELECT 'pg_catalog.pg_trigger'::regclass, t.oid, 0, pg_get_triggerdef(t.oid, true),
           CASE WHEN t.tgqual IS NOT NULL
                THEN regexp_replace(pg_get_triggerdef(t.oid, true), ' WHEN \(.*\) EXECUTE ', '') END
    FROM relation c JOIN pg_catalog.pg_trigger t ON t.tgrelid = c.oid WHERE NOT t.tgisinternal
  UNION ALL
    SELECT 'pg_catalog.pg_trigger'::regclass, t.oid, 1, format(
        'ALTER TABLE %s %s TRIGGER %I', c.oid::regclass,
        CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA'
                         ELSE 'ENABLE ALWAYS' END, t.tgname), NULL
    FROM relation c JOIN pg_catalog.pg_trigger t ON t.tgrelid = c.oid
    WHERE NOT t.tgisinternal AND t.tgenabled <> 'O'
  UNION ALL
    SELECT 'pg_catalog.pg_policy'::regclass, p.oid, 0, format(
        'CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', p.polname, c.oid::regclass,
        CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
        CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                      WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
        (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE r::regrole::text END, ', '
                           ORDER BY r) FROM unnest(p.polroles) r),
        ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
        ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'),
        format('POLICY %I ON %s %s %s %s %s %s', p.polname, c.oid::regclass, p.polpermissive,
               p.polcmd, p.polroles, p.polqual IS NULL, p.polwithcheck IS NULL)
    FROM relation c JOIN pg_catalog.pg_policy p ON p.polrelid = c.oid
  UNION ALL
    SELECT 'pg_catalog.pg_statistic_ext'::regclass, s.oid, 0, format(
        'CREATE STATISTICS %I %s', s.stxname, substr(pg_get_statisticsobjdef(s.oid),
            length(format('CREATE STATISTICS %I.%I ', $1, s.stxname)) + 1)),
        CASE WHEN s.stxexprs IS NOT NULL THEN format('STATISTICS %I ON %s %s %s %s', s.stxname,
            s.stxrelid::regclass, s.stxkind, cardinality(pg_get_statisticsobjdef_expressions(s.oid)),
            (SELECT string_agg(a.name, ', ' ORDER BY a.attnum) FROM attribute a
             WHERE a.attrelid = s.stxrelid AND a.attnum = ANY (s.stxkeys::int2[]))) END
    FROM pg_catalog.pg_statistic_ext s JOIN schema ON s.stxnamespace = schema.oid
  UNION ALL
    -- Comments.
    SELECT o.unit_class, o.unit, 9, format('COMMENT ON %s IS %L', CASE o.class
        WHEN 'pg_catalog.pg_class'::regclass THEN CASE WHEN a.name IS NOT NULL
            THEN format('COLUMN %s.%s', o.id::regclass, a.name)
            ELSE format('%s %s', CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'v' THEN 'VIEW'
                       WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
                       WHEN 'i' THEN 'INDEX' END, o.id::regclass) END
        WHEN 'pg_catalog.pg_type'::regclass THEN format('TYPE %s', o.id::regtype)
        WHEN 'pg_catalog.pg_proc'::regclass THEN format('%s %s',
            CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, o.id::regprocedure)
        WHEN 'pg_catalog.pg_constraint'::regclass THEN format('CONSTRAINT %I ON %s', k.conname,
            CASE k.contypid WHEN 0 THEN k.conrelid::regclass::text
                            ELSE 'DOMAIN ' || k.contypid::regtype END)
        WHEN 'pg_catalog.pg_trigger'::regclass
            THEN format('TRIGGER %I ON %s', t.tgname, t.tgrelid::regclass)
        WHEN 'pg_catalog.pg_policy'::regclass
            THEN format('POLICY %I ON %s', l.polname, l.polrelid::regclass)
        WHEN 'pg_catalog.pg_collation'::regclass THEN format('COLLATION %s', o.id::regcollation)
        ELSE format('STATISTICS %I', s.stxname) END, d.description), NULL
    FROM object o
    CROSS JOIN LATERAL (SELECT d.* FROM pg_catalog.pg_description d
                        WHERE d.classoid = o.class AND d.objoid = o.id OFFSET 0) d
    LEFT JOIN pg_catalog.pg_class c ON o.class = 'pg_catalog.pg_class'::regclass AND c.oid = o.id
    LEFT JOIN attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid
    LEFT JOIN pg_catalog.pg_proc p ON o.class = 'pg_catalog.pg_proc'::regclass AND p.oid = o.id
    LEFT JOIN pg_catalog.pg_constraint k
        ON o.class = 'pg_catalog.pg_constraint'::regclass AND k.oid = o.id
    LEFT JOIN pg_catalog.pg_trigger t
        ON o.class = 'pg_catalog.pg_trigger'::regclass AND t.oid = o.id
    LEFT JOIN pg_catalog.pg_policy l
        ON o.class = 'pg_catalog.pg_policy'::regclass AND l.oid = o.id
    LEFT JOIN pg_catalog.pg_statistic_ext s
        ON o.class = 'pg_catalog.pg_statistic_ext'::regclass AND s.oid = o.id
    WHERE o.class <> 'pg_catalog.pg_rewrite'::regclass
),
