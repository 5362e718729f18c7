-- The relations that the application's role may read. Of those of one name the first
-- in its search path is the one that a name without a schema means.
CREATE TEMPORARY TABLE pgtenant_masks (number integer, schema_name text, table_name text,
    column_name text, path text[], kind text, argument text, what text) ON COMMIT DROP;
INSERT INTO pgtenant_masks VALUES @masks@;
CREATE TEMPORARY TABLE pgtenant_path ON COMMIT DROP AS
    SELECT coalesce(
            @schemas@,
            (SELECT array_agg(CASE btrim(name, ' "') WHEN '$user' THEN @app@ ELSE btrim(name, ' "') END)
                FROM string_to_table(text, ',') AS name)) AS schemas,
        text
    FROM (SELECT coalesce((SELECT substring(entry from 13) FROM pg_db_role_setting, unnest(setconfig) AS entry
            WHERE entry LIKE 'search\_path=%' AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
                AND setrole IN (0, quote_ident(@app@)::regrole)
            ORDER BY setrole = 0, setdatabase = 0 LIMIT 1), '"$user", public')) AS path (text);
CREATE TEMPORARY TABLE pgtenant_relations ON COMMIT DROP AS
    SELECT c.oid, c.relname AS name, n.nspname AS schema, c.relkind AS kind, format('%I.%I', n.nspname, c.relname) AS shown,
        row_number() OVER (PARTITION BY c.relname
            ORDER BY array_position(p.schemas, n.nspname::text) NULLS LAST, n.nspname) AS rank
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, pgtenant_path p
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
        AND n.nspname NOT IN ('information_schema', 'pgtenant', @schema@) AND n.nspname !~ '^pg_'
        AND (@schemas@ IS NULL OR n.nspname = ANY (@schemas@))
        AND has_schema_privilege(@app@, n.oid, 'USAGE') AND has_any_column_privilege(@app@, c.oid, 'SELECT')
        AND c.relname NOT IN ('pgtenant_mask_secret', 'pgtenant_mask_key')
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e');

-- Which masks are for which of their columns, those of a table also for its parts.
CREATE TEMPORARY TABLE pgtenant_columns ON COMMIT DROP AS
WITH RECURSIVE named AS (
    SELECT m.*, r.oid, r.shown FROM pgtenant_masks m
    LEFT JOIN pgtenant_relations r ON r.name = m.table_name
        AND (r.schema = m.schema_name OR (m.schema_name IS NULL AND r.rank = 1))
), parts AS (
    SELECT number, oid, oid AS root FROM named
    UNION SELECT p.number, i.inhrelid, p.root FROM parts p JOIN pg_inherits i ON i.inhparent = p.oid
)
SELECT n.number, n.what, n.column_name, n.path, n.kind, n.argument, n.schema_name, n.table_name,
    p.oid, p.root, a.attnum, a.atttypid, a.atttypmod
FROM named n LEFT JOIN parts p ON p.number = n.number
LEFT JOIN pg_attribute a ON a.attrelid = p.oid AND a.attname = n.column_name AND a.attnum > 0 AND NOT a.attisdropped;

-- What runs with the rights of its owner over a table that has masks: it would show
-- the table unmasked.
CREATE TEMPORARY TABLE pgtenant_open ON COMMIT DROP AS
WITH RECURSIVE reads AS (
    SELECT c.oid AS relation, d.refclassid, d.refobjid FROM pg_class c
    JOIN pg_rewrite w ON w.ev_class = c.oid
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
        AND (d.refclassid, d.refobjid) <> ('pg_class'::regclass, c.oid)
    WHERE c.relkind IN ('v', 'm')
), rests AS (
    SELECT relation, refclassid, refobjid FROM reads
    UNION
    SELECT s.relation, d.refclassid, d.refobjid FROM rests s
    JOIN reads d ON s.refclassid = 'pg_class'::regclass AND d.relation = s.refobjid
)
SELECT s.relation AS oid, min(coalesce(f.oid::regprocedure::text, c.oid::regclass::text)) AS because
FROM rests s
LEFT JOIN pg_proc f ON s.refclassid = 'pg_proc'::regclass AND f.oid = s.refobjid AND f.prosecdef
    AND f.pronamespace <> 'pg_catalog'::regnamespace
LEFT JOIN pgtenant_columns m ON s.refclassid = 'pg_class'::regclass AND m.oid = s.refobjid
LEFT JOIN pg_class c ON c.oid = m.oid
WHERE f.oid IS NOT NULL OR m.oid IS NOT NULL
GROUP BY s.relation;

-- Columns that are computed of masked ones: of their table they show what is masked.
CREATE TEMPORARY TABLE pgtenant_computed ON COMMIT DROP AS
SELECT g.attrelid AS oid, g.attnum, string_agg(DISTINCT quote_ident(m.column_name), ', ') AS of
FROM pg_attribute g
LEFT JOIN pg_attrdef e ON e.adrelid = g.attrelid AND e.adnum = g.attnum
JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = g.attrelid AND d.refobjsubid <> g.attnum
    AND ((d.classid = 'pg_attrdef'::regclass AND d.objid = e.oid)
        OR (d.classid = 'pg_class'::regclass AND d.objid = g.attrelid AND d.objsubid = g.attnum))
JOIN pgtenant_columns m ON m.oid = g.attrelid AND m.attnum = d.refobjsubid
WHERE g.attgenerated <> '' AND NOT g.attisdropped
GROUP BY 1, 2;
