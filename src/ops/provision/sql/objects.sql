-- The objects of the schema $1, and in which order they can be made. First part of
-- the query for what makes a copy of a schema: one statement a row. Rows with a
-- refusal name what cannot be copied, rows with a need an object of another schema
-- that one of the schema's own depends on.
--
-- To be run with search_path set to that schema alone: then its own objects are
-- written without a schema, and run with search_path set to another schema the
-- statements make the same objects there. PostgreSQL still writes the schema's name
-- here and there, so that the schema is renamed before: see `copy.rs`. $2 is the name
-- that the template had before that. LATERAL with OFFSET 0 makes PostgreSQL look into
-- the large catalogs by their indexes, however many schemas there are.
WITH RECURSIVE
schema AS (
    SELECT n.oid, n.nspname
    FROM pg_catalog.pg_namespace n WHERE n.nspname = $1::text
),
-- Extensions that are in the schema, and what belongs to them.
extension AS (
    SELECT e.* FROM pg_catalog.pg_extension e JOIN schema ON e.extnamespace = schema.oid
),
member AS MATERIALIZED (
    SELECT d.classid, d.objid
    FROM extension e CROSS JOIN LATERAL (
        SELECT d.* FROM pg_catalog.pg_depend d
        WHERE d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.refobjid = e.oid
          AND d.deptype = 'e' OFFSET 0) d
),
relation AS (
    SELECT c.* FROM pg_catalog.pg_class c JOIN schema ON c.relnamespace = schema.oid
    WHERE c.relkind <> 't'
      AND ('pg_catalog.pg_class'::regclass, c.oid) NOT IN (SELECT m.classid, m.objid FROM member m)
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
    WHERE (t.typtype IN ('e', 'd') OR (t.typtype = 'c' AND c.relkind = 'c'))
      AND ('pg_catalog.pg_type'::regclass, t.oid) NOT IN (SELECT m.classid, m.objid FROM member m)
),
function AS (
    SELECT p.* FROM pg_catalog.pg_proc p JOIN schema ON p.pronamespace = schema.oid
    WHERE ('pg_catalog.pg_proc'::regclass, p.oid) NOT IN (SELECT m.classid, m.objid FROM member m)
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
  UNION ALL
    SELECT 'pg_catalog.pg_collation'::regclass, l.oid, 'pg_catalog.pg_collation'::regclass, l.oid
    FROM pg_catalog.pg_collation l JOIN schema ON l.collnamespace = schema.oid
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
