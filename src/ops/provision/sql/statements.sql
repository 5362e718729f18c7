-- What makes a copy of the schema $1: one statement a row, in an order in which
-- they can be run. Rows with a refusal name what cannot be copied.
--
-- To be run with search_path set to that schema alone: then its own objects are
-- written without a schema, and run with search_path set to another schema the
-- statements make the same objects there. Run for the copy, the query returns the
-- same statements again. LATERAL with OFFSET 0 makes PostgreSQL look into the large
-- catalogs by their indexes, however many schemas there are.
WITH RECURSIVE
schema AS (
    SELECT n.oid, n.nspname
    FROM pg_catalog.pg_namespace n WHERE n.nspname = $1::text
),
relation AS (
    SELECT c.* FROM pg_catalog.pg_class c JOIN schema ON c.relnamespace = schema.oid
    WHERE c.relkind <> 't'
),
-- Sequences that belong to an identity column.
identity AS (
    SELECT d.objid AS sequence, d.refobjid AS relation, d.refobjsubid AS attnum
    FROM relation c CROSS JOIN LATERAL (
        SELECT d.* FROM pg_catalog.pg_depend d
        WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid OFFSET 0) d
    WHERE c.relkind = 'S' AND d.deptype = 'i'
      AND d.refclassid = 'pg_catalog.pg_class'::regclass
),
type AS (
    SELECT t.* FROM pg_catalog.pg_type t JOIN schema ON t.typnamespace = schema.oid
    LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
    WHERE t.typtype IN ('e', 'd') OR (t.typtype = 'c' AND c.relkind = 'c')
),
function AS (
    SELECT p.* FROM pg_catalog.pg_proc p JOIN schema ON p.pronamespace = schema.oid
),
-- Each object, and the unit that is made with it: a table with its row type and
-- identity sequences, a constraint with its index, and so on.
object (class, id, unit_class, unit) AS (
    SELECT 'pg_catalog.pg_class'::regclass, c.oid, 'pg_catalog.pg_class'::regclass,
           coalesce(i.relation, c.oid)
    FROM relation c LEFT JOIN identity i ON i.sequence = c.oid
    WHERE c.relkind IN ('r', 'v', 'm', 'S')
  UNION ALL
    SELECT 'pg_catalog.pg_type'::regclass, unnest(ARRAY[t.oid, t.typarray]),
           'pg_catalog.pg_class'::regclass, c.oid
    FROM relation c JOIN pg_catalog.pg_type t ON t.typrelid = c.oid
    WHERE c.relkind IN ('r', 'v', 'm')
  UNION ALL
    SELECT 'pg_catalog.pg_rewrite'::regclass, r.oid, 'pg_catalog.pg_class'::regclass, c.oid
    FROM relation c JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid
  UNION ALL
    SELECT 'pg_catalog.pg_type'::regclass, unnest(ARRAY[t.oid, t.typarray]),
           'pg_catalog.pg_type'::regclass, t.oid
    FROM type t
  UNION ALL
    SELECT 'pg_catalog.pg_class'::regclass, t.typrelid, 'pg_catalog.pg_type'::regclass, t.oid
    FROM type t WHERE t.typrelid <> 0
  UNION ALL
    SELECT 'pg_catalog.pg_constraint'::regclass, k.oid, 'pg_catalog.pg_type'::regclass, t.oid
    FROM type t JOIN pg_catalog.pg_constraint k ON k.contypid = t.oid
  UNION ALL
    SELECT 'pg_catalog.pg_proc'::regclass, p.oid, 'pg_catalog.pg_proc'::regclass, p.oid
    FROM function p
  UNION ALL
    SELECT 'pg_catalog.pg_attrdef'::regclass, d.oid,
           CASE a.attgenerated WHEN '' THEN 'pg_catalog.pg_attrdef'::regclass
                               ELSE 'pg_catalog.pg_class'::regclass END,
           CASE a.attgenerated WHEN '' THEN d.oid ELSE c.oid END
    FROM relation c JOIN pg_catalog.pg_attrdef d ON d.adrelid = c.oid
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.adnum
  UNION ALL
    SELECT 'pg_catalog.pg_constraint'::regclass, k.oid,
           CASE k.contype WHEN 'n' THEN 'pg_catalog.pg_class'::regclass
                          WHEN 't' THEN 'pg_catalog.pg_trigger'::regclass
                          ELSE 'pg_catalog.pg_constraint'::regclass END,
           CASE k.contype WHEN 'n' THEN c.oid WHEN 't' THEN t.oid ELSE k.oid END
    FROM relation c JOIN pg_catalog.pg_constraint k ON k.conrelid = c.oid
    LEFT JOIN pg_catalog.pg_trigger t ON t.tgconstraint = k.oid AND k.contype = 't'
  UNION ALL
    SELECT 'pg_catalog.pg_class'::regclass, i.indexrelid,
           CASE WHEN k.oid IS NULL THEN 'pg_catalog.pg_class'::regclass
                ELSE 'pg_catalog.pg_constraint'::regclass END,
           coalesce(k.oid, i.indexrelid)
    FROM relation c JOIN pg_catalog.pg_index i ON i.indrelid = c.oid
    LEFT JOIN pg_catalog.pg_constraint k
        ON k.conrelid = c.oid AND k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
  UNION ALL
    SELECT 'pg_catalog.pg_trigger'::regclass, t.oid,
           CASE WHEN t.tgisinternal THEN 'pg_catalog.pg_constraint'::regclass
                ELSE 'pg_catalog.pg_trigger'::regclass END,
           CASE WHEN t.tgisinternal THEN t.tgconstraint ELSE t.oid END
    FROM relation c JOIN pg_catalog.pg_trigger t ON t.tgrelid = c.oid
  UNION ALL
    SELECT 'pg_catalog.pg_policy'::regclass, p.oid, 'pg_catalog.pg_policy'::regclass, p.oid
    FROM relation c JOIN pg_catalog.pg_policy p ON p.polrelid = c.oid
  UNION ALL
    SELECT 'pg_catalog.pg_statistic_ext'::regclass, s.oid,
           'pg_catalog.pg_statistic_ext'::regclass, s.oid
    FROM pg_catalog.pg_statistic_ext s JOIN schema ON s.stxnamespace = schema.oid
),
edge AS (
    SELECT DISTINCT a.unit_class, a.unit, b.unit_class AS needed_class, b.unit AS needed
    FROM object a
    CROSS JOIN LATERAL (SELECT d.* FROM pg_catalog.pg_depend d
                        WHERE d.classid = a.class AND d.objid = a.id OFFSET 0) d
    JOIN object b ON b.class = d.refclassid AND b.id = d.refobjid
    WHERE (a.unit_class, a.unit) <> (b.unit_class, b.unit)
),
-- The longest way from something that needs nothing. Circles end at the limit.
reach (unit_class, unit, depth) AS (
    SELECT DISTINCT unit_class, unit, 0 FROM object
  UNION
    SELECT e.unit_class, e.unit, r.depth + 1
    FROM reach r JOIN edge e ON (e.needed_class, e.needed) = (r.unit_class, r.unit)
    WHERE r.depth < 300
),
unit AS (
    SELECT unit_class, unit, max(depth) AS depth FROM reach GROUP BY unit_class, unit
),
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
made (unit_class, unit, step, sql) AS (
    -- Types.
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
           END
    FROM type t LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype
  UNION ALL
    -- Tables, with generated and identity columns; all else comes after.
    SELECT 'pg_catalog.pg_class'::regclass, c.oid, 0, format(
        'CREATE %sTABLE %s (%s)%s%s',
        CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED ' END, c.oid::regclass,
        (SELECT string_agg(a.base
            || CASE WHEN a.attgenerated = '' THEN '' ELSE format(
                   ' GENERATED ALWAYS AS (%s)%s', pg_get_expr(d.adbin, d.adrelid),
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
                      FROM unnest(c.reloptions) o) || ')')
    FROM relation c LEFT JOIN pg_catalog.pg_am m ON m.oid = c.relam
    WHERE c.relkind = 'r'
  UNION ALL
    SELECT 'pg_catalog.pg_class'::regclass, a.attrelid, 1, format(
        'ALTER TABLE %s ALTER COLUMN %s SET %s', a.attrelid::regclass, a.name, o.text)
    FROM attribute a CROSS JOIN LATERAL (VALUES
        (CASE WHEN a.attstorage <> a.typstorage THEN 'STORAGE ' || CASE a.attstorage
             WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL'
             WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END),
        (CASE a.attcompression WHEN 'p' THEN 'COMPRESSION pglz'
                               WHEN 'l' THEN 'COMPRESSION lz4' END),
        (CASE WHEN a.attstattarget >= 0 THEN 'STATISTICS ' || a.attstattarget END),
        ('(' || array_to_string(a.attoptions, ', ') || ')')) o (text)
    WHERE a.relkind = 'r' AND o.text IS NOT NULL
  UNION ALL
    SELECT 'pg_catalog.pg_class'::regclass, c.oid, 2,
           format('ALTER TABLE %s %s', c.oid::regclass, o.text)
    FROM relation c CROSS JOIN LATERAL (VALUES
        (CASE WHEN c.relrowsecurity THEN 'ENABLE ROW LEVEL SECURITY' END),
        (CASE WHEN c.relforcerowsecurity THEN 'FORCE ROW LEVEL SECURITY' END),
        (CASE c.relreplident WHEN 'n' THEN 'REPLICA IDENTITY NOTHING'
                             WHEN 'f' THEN 'REPLICA IDENTITY FULL' END)) o (text)
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
              AND d.deptype = 'a' AND d.refclassid = 'pg_catalog.pg_class'::regclass))
    FROM relation c JOIN sequence s ON s.seqrelid = c.oid
    JOIN pg_catalog.pg_sequence q ON q.seqrelid = c.oid
    WHERE c.relkind = 'S' AND c.oid NOT IN (SELECT i.sequence FROM identity i)
  UNION ALL
    SELECT 'pg_catalog.pg_attrdef'::regclass, d.oid, 0, format(
        'ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s', a.attrelid::regclass, a.name,
        pg_get_expr(d.adbin, d.adrelid))
    FROM pg_catalog.pg_attrdef d
    JOIN attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum AND a.attgenerated = ''
  UNION ALL
    SELECT 'pg_catalog.pg_constraint'::regclass, k.oid, 0, format(
        'ALTER TABLE %s ADD CONSTRAINT %I %s', c.oid::regclass, k.conname,
        pg_get_constraintdef(k.oid))
    FROM relation c JOIN pg_catalog.pg_constraint k ON k.conrelid = c.oid
    WHERE k.contype NOT IN ('n', 't')
  UNION ALL
    SELECT 'pg_catalog.pg_class'::regclass, i.indexrelid, 0, pg_get_indexdef(i.indexrelid, 0, true)
    FROM relation c JOIN pg_catalog.pg_index i ON i.indrelid = c.oid
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k
                      WHERE k.conrelid = c.oid AND k.conindid = i.indexrelid
                        AND k.contype IN ('p', 'u', 'x'))
  UNION ALL
    SELECT o.unit_class, o.unit, 1, format(
        'ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', c.oid::regclass, x.relname)
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
        CASE WHEN c.relkind = 'm' AND NOT c.relispopulated THEN ' WITH NO DATA' END)
    FROM relation c WHERE c.relkind IN ('v', 'm')
  UNION ALL
    SELECT 'pg_catalog.pg_proc'::regclass, p.oid, 0, format(
        'CREATE %s %I(%s', CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END,
        p.proname, substr(pg_get_functiondef(p.oid), length(format(
            'CREATE OR REPLACE %s %I.%I(',
            CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, $1, p.proname)) + 1))
    FROM function p WHERE p.prokind <> 'a'
  UNION ALL
    SELECT 'pg_catalog.pg_trigger'::regclass, t.oid, 0, pg_get_triggerdef(t.oid, true)
    FROM relation c JOIN pg_catalog.pg_trigger t ON t.tgrelid = c.oid WHERE NOT t.tgisinternal
  UNION ALL
    SELECT 'pg_catalog.pg_trigger'::regclass, t.oid, 1, format(
        'ALTER TABLE %s %s TRIGGER %I', c.oid::regclass,
        CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA'
                         ELSE 'ENABLE ALWAYS' END, t.tgname)
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
        ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')')
    FROM relation c JOIN pg_catalog.pg_policy p ON p.polrelid = c.oid
  UNION ALL
    SELECT 'pg_catalog.pg_statistic_ext'::regclass, s.oid, 0, format(
        'CREATE STATISTICS %I %s', s.stxname, substr(pg_get_statisticsobjdef(s.oid),
            length(format('CREATE STATISTICS %I.%I ', $1, s.stxname)) + 1))
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
        ELSE format('STATISTICS %I', s.stxname) END, d.description)
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
refused (refusal) AS (
    SELECT format('%s: %s cannot be copied', c.oid::regclass, CASE
        WHEN c.relkind = 'p' THEN 'a partitioned table'
        WHEN c.relkind = 'f' THEN 'a foreign table'
        WHEN c.relispartition THEN 'a partition'
        WHEN c.reloftype <> 0 THEN 'a table of a composite type'
        ELSE 'an inheritance' END)
    FROM relation c
    WHERE c.relkind IN ('p', 'f') OR c.relispartition AND c.relkind = 'r' OR c.reloftype <> 0
       OR c.relkind = 'r' AND EXISTS (SELECT FROM pg_catalog.pg_inherits i
                                      WHERE c.oid IN (i.inhrelid, i.inhparent))
  UNION ALL
    SELECT format('rule %I on %s: a rule cannot be copied', r.rulename, c.oid::regclass)
    FROM relation c JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid
    WHERE r.rulename <> '_RETURN'
  UNION ALL
    SELECT format('index %s is not valid', i.indexrelid::regclass)
    FROM relation c JOIN pg_catalog.pg_index i ON i.indrelid = c.oid WHERE NOT i.indisvalid
  UNION ALL
    SELECT format('%s: this kind of type cannot be copied', t.oid::regtype)
    FROM pg_catalog.pg_type t JOIN schema ON t.typnamespace = schema.oid
    WHERE t.typtype NOT IN ('e', 'd', 'c', 'm')
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray = t.oid)
  UNION ALL
    SELECT format('function %s: %s', p.oid::regprocedure, CASE
        WHEN p.prokind = 'a' THEN 'an aggregate cannot be copied'
        WHEN p.prosecdef THEN 'SECURITY DEFINER: tenants would run it as its owner'
        ELSE format('it names the schema %I, or search_path, in its text: a copy would still '
                    'use the template', $1) END)
    FROM function p
    WHERE p.prokind = 'a' OR p.prosecdef
       OR p.prosrc || coalesce(array_to_string(p.proconfig, ' '), '') ~* (
              'search_path|\m' || regexp_replace($1, '([^[:alnum:]_])', '\\\1', 'g') || '"?\s*\.')
       OR NOT starts_with(pg_get_functiondef(CASE p.prokind WHEN 'a' THEN NULL ELSE p.oid END),
              format('CREATE OR REPLACE %s %I.%I(',
                     CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END,
                     $1, p.proname))
  UNION ALL
    SELECT format('trigger %I on %s has the name of the schema in its arguments',
                  t.tgname, c.oid::regclass)
    FROM relation c JOIN pg_catalog.pg_trigger t ON t.tgrelid = c.oid
    WHERE NOT t.tgisinternal AND position(convert_to($1, 'UTF8') IN t.tgargs) > 0
  UNION ALL
    SELECT format('it names the schema in a text: %s', left(m.sql, 200))
    FROM made m
    WHERE m.step <> 9 AND m.unit_class <> 'pg_catalog.pg_proc'::regclass
      AND m.sql ~* ('''[^'']*\m' || regexp_replace($1, '([^[:alnum:]_])', '\\\1', 'g')
                    || '"?\.[^'']*''')
  UNION ALL
    SELECT format('%s has the name of something in pg_catalog', o.name) FROM (
        SELECT c.oid::regclass::text FROM relation c
        WHERE c.relkind <> 'c' AND NOT pg_table_is_visible(c.oid)
      UNION ALL SELECT t.oid::regtype::text FROM type t WHERE NOT pg_type_is_visible(t.oid)
      UNION ALL SELECT p.oid::regprocedure::text FROM function p
        WHERE NOT pg_function_is_visible(p.oid)) o (name)
  UNION ALL
    SELECT format('%s cannot be copied', pg_describe_object(d.classid, d.objid, 0))
    FROM schema CROSS JOIN LATERAL (
        SELECT d.* FROM pg_catalog.pg_depend d
        WHERE d.refclassid = 'pg_catalog.pg_namespace'::regclass
          AND d.refobjid = schema.oid OFFSET 0) d
    WHERE d.classid NOT IN (
        'pg_catalog.pg_class'::regclass, 'pg_catalog.pg_type'::regclass,
        'pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_statistic_ext'::regclass,
        'pg_catalog.pg_default_acl'::regclass)
  UNION ALL
    SELECT format('%s belongs to an extension', pg_describe_object(o.class, o.id, 0))
    FROM object o CROSS JOIN LATERAL (
        SELECT d.* FROM pg_catalog.pg_depend d
        WHERE d.classid = o.class AND d.objid = o.id OFFSET 0) d
    WHERE d.deptype = 'e'
  UNION ALL
    SELECT format('%s needs itself in a circle, or too many others',
                  pg_describe_object(u.unit_class, u.unit, 0))
    FROM unit u WHERE u.depth >= 300
)
SELECT coalesce(m.sql, '')::text AS sql, NULL::text AS refusal,
       row_number() OVER (ORDER BY u.depth, m.step, m.sql) AS place
FROM made m JOIN unit u USING (unit_class, unit)
UNION ALL
SELECT '', r.refusal, 0 FROM refused r
ORDER BY place, refusal
