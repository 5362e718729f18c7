named (pattern) AS (
    SELECT regexp_replace($2, '([^[:alnum:]_])', '\\\1', 'g')
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
      AND ('pg_catalog.pg_type'::regclass, t.oid) NOT IN (SELECT m.classid, m.objid FROM member m)
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray = t.oid)
  UNION ALL
    SELECT format(
        'extension %1$I is in the schema: put it into another, to be used by all tenants, with %2$s',
        e.extname, CASE WHEN e.extrelocatable
            THEN format('ALTER EXTENSION %I SET SCHEMA public', e.extname)
            ELSE format('DROP EXTENSION %1$I and CREATE EXTENSION %1$I SCHEMA public (it cannot be '
                        'moved)', e.extname) END)
    FROM extension e
  UNION ALL
    SELECT format('function %s: %s', p.oid::regprocedure, CASE
        WHEN p.prokind = 'a' THEN 'an aggregate cannot be copied'
        WHEN p.prosecdef THEN 'SECURITY DEFINER: tenants would run it as its owner'
        ELSE format('it names the schema %I, or search_path, in its text: a copy would still '
                    'use the template', $2) END)
    FROM function p CROSS JOIN named n
    WHERE p.prokind = 'a' OR p.prosecdef
       OR p.prosrc || coalesce(array_to_string(p.proconfig, ' '), '') ~* (
              'search_path|\m' || n.pattern || '"?\s*\.|[''"]' || n.pattern || '[''"]')
       OR NOT starts_with(pg_get_functiondef(CASE p.prokind WHEN 'a' THEN NULL ELSE p.oid END),
              format('CREATE OR REPLACE %s %I.%I(',
                     CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END,
                     $1, p.proname))
  UNION ALL
    SELECT format('trigger %I on %s has the name of the schema in its arguments',
                  t.tgname, c.oid::regclass)
    FROM relation c JOIN pg_catalog.pg_trigger t ON t.tgrelid = c.oid
    WHERE NOT t.tgisinternal AND position(convert_to($2, 'UTF8') IN t.tgargs) > 0
  UNION ALL
    SELECT format('it names the schema in a text: %s', left(m.sql, 200))
    FROM made m CROSS JOIN named n
    WHERE m.step <> 9 AND m.unit_class <> 'pg_catalog.pg_proc'::regclass
      AND m.sql ~* ('''[^'']*\m' || n.pattern || '"?\.[^'']*''')
  UNION ALL
    SELECT format('%s has the name of something in pg_catalog', o.name) FROM (
        SELECT c.oid::regclass::text FROM relation c
        WHERE c.relkind <> 'c' AND NOT pg_table_is_visible(c.oid)
      UNION ALL SELECT t.oid::regtype::text FROM type t WHERE NOT pg_type_is_visible(t.oid)
      UNION ALL SELECT p.oid::regprocedure::text FROM function p
        WHERE NOT pg_function_is_visible(p.oid)
      UNION ALL SELECT l.oid::regcollation::text FROM pg_catalog.pg_collation l
        JOIN schema ON l.collnamespace = schema.oid
        WHERE NOT pg_collation_is_visible(l.oid)) o (name)
  UNION ALL
    SELECT format('%s cannot be copied', pg_describe_object(d.classid, d.objid, 0))
    FROM schema CROSS JOIN LATERAL (
        SELECT d.* FROM pg_catalog.pg_depend d
        WHERE d.refclassid = 'pg_catalog.pg_namespace'::regclass
          AND d.refobjid = schema.oid OFFSET 0) d
    WHERE d.classid NOT IN (
        'pg_catalog.pg_class'::regclass, 'pg_catalog.pg_type'::regclass,
        'pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_statistic_ext'::regclass,
        'pg_catalog.pg_collation'::regclass, 'pg_catalog.pg_extension'::regclass,
        'pg_catalog.pg_default_acl'::regclass)
      AND (d.classid, d.objid) NOT IN (SELECT m.classid, m.objid FROM member m)
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
),
-- What the objects depend on elsewhere. A copy depends on the same, and so on nothing
-- of the template.
need (need) AS (
    SELECT DISTINCT format('%s needs %s', pg_describe_object(o.class, o.id, 0),
                           pg_describe_object(d.refclassid, d.refobjid, 0))
    FROM object o CROSS JOIN LATERAL (
        SELECT d.* FROM pg_catalog.pg_depend d
        WHERE d.classid = o.class AND d.objid = o.id OFFSET 0) d
    LEFT JOIN object own ON own.class = d.refclassid AND own.id = d.refobjid
    WHERE own.id IS NULL AND (d.refclassid, d.refobjid) NOT IN (
        SELECT 'pg_catalog.pg_namespace'::regclass, s.oid FROM schema s)
)
SELECT coalesce(m.sql, '')::text AS sql, coalesce(m.frame, m.sql, '') AS frame,
       NULL::text AS refusal, NULL::text AS need,
       row_number() OVER (ORDER BY m.step = 20, u.depth, m.step,
                          coalesce(m.frame, m.sql) COLLATE "C", m.sql COLLATE "C") AS place
FROM made m JOIN unit u USING (unit_class, unit)
UNION ALL
SELECT '', '', r.refusal, NULL, 0 FROM refused r
UNION ALL
SELECT '', '', NULL, n.need, 0 FROM need n
ORDER BY place, refusal, need
