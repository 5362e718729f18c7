-- What the checks share. Every check is one query behind these; PostgreSQL
-- evaluates those that it names.
-- $1 roles that clients' statements run as; $2 the tenant's setting, '' if none;
-- $3, $4 roles and their schemas, in pairs, where tenants have their own.
WITH RECURSIVE
given AS (
    SELECT $1::text[] AS roles, lower($2::text) AS setting,
           $3::text[] AS tenant_roles, $4::text[] AS tenant_schemas
),
all_roles AS (
    SELECT r.*, quote_ident(r.rolname) AS ident
    FROM pg_roles r, given WHERE r.rolname = ANY (given.roles)
),
-- Of a superuser nothing more can be said than that it is one.
roles AS (SELECT * FROM all_roles WHERE NOT rolsuper),
schemas AS (
    SELECT n.* FROM pg_namespace n
    WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
      AND NOT (n.nspname = 'pgtenant' AND EXISTS (
          SELECT FROM pg_roles o WHERE o.oid = n.nspowner AND o.rolname = 'pgtenant_seal'))
),
relations AS (
    SELECT c.oid, c.relname, c.relkind, c.relowner, c.relrowsecurity, c.relforcerowsecurity,
           c.relispartition, c.reloptions, c.relnamespace,
           format('%I.%I', n.nspname, c.relname) AS name,
           CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
                          WHEN 'f' THEN 'foreign table' ELSE 'table' END AS kind
    FROM pg_class c JOIN schemas n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                        AND d.objid = c.oid AND d.deptype = 'e')
),
routines AS (
    SELECT f.oid, f.proname, f.proowner, f.prosecdef, f.proconfig, f.prorettype,
           l.lanname, l.lanpltrusted, n.nspname, f.pronamespace, f.prokind,
           f.oid::regprocedure::text AS name,
           lower(f.prosrc || coalesce(' ' || pg_get_function_sqlbody(f.oid), '')) AS body,
           EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass
                     AND d.objid = f.oid AND d.deptype = 'e') AS of_extension
    FROM pg_proc f
    JOIN schemas n ON n.oid = f.pronamespace
    JOIN pg_language l ON l.oid = f.prolang
    WHERE f.prokind IN ('f', 'p', 'w')
),
-- Functions that read the setting: policies may read it through them.
readers AS (
    SELECT r.oid, lower(r.proname) AS proname FROM routines r, given
    WHERE given.setting <> '' AND strpos(r.body, given.setting) > 0
),
policies AS (
    SELECT p.oid, p.polrelid, p.polname, p.polcmd, p.polpermissive, p.polroles,
           e.qual, e.checks,
           strpos(lower(e.qual), given.setting) > 0 OR EXISTS (
               SELECT FROM readers WHERE strpos(lower(e.qual), readers.proname || '(') > 0
           ) AS qual_reads,
           strpos(lower(e.checks), given.setting) > 0 OR EXISTS (
               SELECT FROM readers WHERE strpos(lower(e.checks), readers.proname || '(') > 0
           ) AS checks_read,
           0::oid = ANY (p.polroles) OR EXISTS (
               SELECT FROM roles r, unnest(p.polroles) AS named (oid)
               WHERE named.oid <> 0 AND pg_has_role(r.oid, named.oid, 'USAGE')
           ) AS applies
    FROM given, pg_policy p,
         LATERAL (SELECT pg_get_expr(p.polqual, p.polrelid) AS qual,
                         pg_get_expr(p.polwithcheck, p.polrelid) AS checks) e
    WHERE given.setting <> ''
),
-- Restrictive policies that ask for the tenant, or for what the seal vouches for.
walls AS (
    SELECT p.polrelid, p.polcmd, p.qual,
           coalesce(p.qual_reads OR p.qual ~ '\mpgtenant\.', false) AS guards_reading,
           CASE WHEN p.checks IS NULL THEN p.qual_reads OR p.qual ~ '\mpgtenant\.'
                ELSE p.checks_read OR p.checks ~ '\mpgtenant\.' END AS guards_writing
    FROM policies p WHERE NOT p.polpermissive AND p.applies
),
-- Columns that a policy compares with the setting.
compared AS (
    SELECT DISTINCT a.attrelid, a.attnum, a.attname, a.atttypid
    FROM given, policies p
    JOIN pg_attribute a ON a.attrelid = p.polrelid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid
         AND d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid
         AND d.refobjsubid = a.attnum,
    LATERAL (SELECT regexp_replace(a.attname, '\W', '.', 'g') AS word,
                    coalesce(p.qual, '') || ' ' || coalesce(p.checks, '') AS expression) w,
    LATERAL (SELECT '(=|IN|IS DISTINCT FROM)' AS equals,
                    string_agg(regexp_replace(reader, '\W', '.', 'g'), '|') AS any_reader
             FROM (SELECT given.setting UNION ALL SELECT proname || '(' FROM readers) s (reader)) s
    WHERE (p.qual_reads OR p.checks_read)
      AND (w.expression ~* ('\m' || w.word || '\M[^=<>]* ' || s.equals || ' [^=]*(' || s.any_reader || ')')
           OR w.expression ~* ('(' || s.any_reader || ')[^=]* ' || s.equals || ' [^=<>]*\m' || w.word || '\M'))
),
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
    WHERE cardinality(c.conkey) = 1
    UNION
    SELECT t.attrelid, t.attnum FROM compared t
    JOIN primary_keys k ON k.conrelid = t.attrelid AND k.conkey = ARRAY[t.attnum]
    UNION
    SELECT r.oid, a.attnum
    FROM (SELECT DISTINCT attname, atttypid FROM compared WHERE attname ~ '_id$') t
    CROSS JOIN LATERAL (SELECT left(t.attname, -3) AS stem) s
    JOIN relations r ON r.relkind IN ('r', 'p')
         AND r.relname IN (stem, stem || 's', regexp_replace(stem, 'y$', 'ies'))
    JOIN primary_keys k ON k.conrelid = r.oid AND cardinality(k.conkey) = 1
    JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = k.conkey[1] AND a.atttypid = t.atttypid
),
learnt AS (
    SELECT DISTINCT t.attname, t.atttypid FROM compared t
    WHERE NOT EXISTS (SELECT FROM directories d WHERE d.relid = t.attrelid AND d.attnum = t.attnum)
),
candidates AS (
    SELECT attrelid, attnum, 1 AS rank, 'its policy compares it with the setting' AS how FROM compared
    UNION ALL
    SELECT relid, attnum, 2, 'tenant columns refer to it' FROM directories
    UNION ALL
    SELECT c.conrelid, p.attnum, 3, 'it refers to the table of the tenants'
    FROM directories d
    JOIN pg_constraint c ON c.contype = 'f' AND c.confrelid = d.relid
    JOIN LATERAL unnest(c.conkey, c.confkey) AS p (attnum, target) ON p.target = d.attnum
    UNION ALL
    SELECT a.attrelid, a.attnum, 4, 'policies of other tables compare a column of this name'
    FROM learnt JOIN pg_attribute a ON a.attname = learnt.attname AND a.atttypid = learnt.atttypid
    WHERE a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT a.attrelid, a.attnum, 5, 'its name is usual for a tenant column'
    FROM pg_attribute a
    WHERE a.attnum > 0 AND NOT a.attisdropped
      AND a.attname IN ('organization_id', 'organisation_id', 'tenant_id', 'org_id', 'account_id',
                        'company_id')
      AND (a.atttypid IN (SELECT atttypid FROM learnt) OR NOT EXISTS (SELECT FROM learnt))
),
-- Tables whose rows belong to tenants, with the column that says to which.
tenant_tables AS (
    SELECT DISTINCT ON (r.oid) r.*, a.attnum, a.attname, c.rank, c.how,
           format('%I = (SELECT current_setting(%L))::%s', a.attname, given.setting,
                  format_type(a.atttypid, a.atttypmod)) AS predicate
    FROM given, candidates c
    JOIN relations r ON r.oid = c.attrelid
    JOIN pg_attribute a ON a.attrelid = c.attrelid AND a.attnum = c.attnum
    WHERE given.setting <> '' AND r.relkind IN ('r', 'p', 'f')
    ORDER BY r.oid, c.rank, a.attnum
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
-- What a role can do with a relation, and what it would be taken away with.
reach AS (
    SELECT r.oid AS role, c.oid AS relid, r.ident AS ident, c.relnamespace,
           has_any_column_privilege(r.oid, c.oid, 'SELECT') AS may_select,
           has_any_column_privilege(r.oid, c.oid, 'INSERT') AS may_insert,
           has_any_column_privilege(r.oid, c.oid, 'UPDATE') AS may_update,
           has_table_privilege(r.oid, c.oid, 'DELETE') AS may_delete,
           has_table_privilege(r.oid, c.oid, 'TRUNCATE') AS may_truncate,
           has_table_privilege(r.oid, c.oid, 'TRIGGER') AS may_trigger,
           has_any_column_privilege(r.oid, c.oid, 'REFERENCES') AS may_refer,
           'FROM PUBLIC, ' || r.ident AS from_whom
    FROM roles r, relations c
    WHERE has_schema_privilege(r.oid, c.relnamespace, 'USAGE')
),
reachable AS (
    SELECT * FROM reach WHERE may_select OR may_insert OR may_update OR may_delete
),
view_uses AS (
    SELECT w.ev_class AS view, d.refobjid AS used
    FROM pg_rewrite w JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
         AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> w.ev_class
    UNION
    SELECT v.view, d.refobjid
    FROM view_uses v
    JOIN pg_rewrite w ON w.ev_class = v.used
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
         AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> w.ev_class
),
-- Whose rights put row-level security of a table aside.
bypassers AS (
    SELECT o.oid AS owner, p.oid AS relid
    FROM pg_roles o, protected p
    WHERE NOT p.relrowsecurity OR o.rolsuper OR o.rolbypassrls
       OR (NOT p.relforcerowsecurity AND pg_has_role(o.oid, p.relowner, 'USAGE'))
),
-- The seal makes the setting worthless to code that changes it.
unsealed AS (
    SELECT EXISTS (
        SELECT FROM protected t
        WHERE t.relkind IN ('r', 'p') AND NOT EXISTS (
            SELECT FROM policies p
            WHERE p.polrelid = t.oid AND NOT p.polpermissive
              AND coalesce(p.qual, '') ~ '\mpgtenant\.')
    ) AS holds
),
-- Functions that can change settings, or run text that can. By their source.
text_runners AS (
    SELECT r.*, h.how FROM given, routines r,
    LATERAL (SELECT CASE
        WHEN r.lanname = 'internal' AND r.body = 'set_config_by_name'
            THEN 'it is set_config under another name'
        WHEN EXISTS (SELECT FROM unnest(r.proconfig) AS c WHERE given.setting <> ''
                       AND split_part(lower(c), '=', 1) IN (given.setting, 'role'))
            THEN 'it runs with a setting of its own that says who the tenant is'
        WHEN r.of_extension OR r.lanname IN ('internal', 'c') THEN NULL
        WHEN NOT r.lanpltrusted THEN 'its language is not trusted: it can do anything'
        WHEN r.body ~ '\mset_config\M\s*\(' THEN 'it calls set_config'
        WHEN r.body ~ '(^|;|\mbegin\M|\mthen\M|\melse\M|\mloop\M)\s*set\s+(session\s+|local\s+)?[a-z_"]'
            THEN 'it has a SET command'
        WHEN r.lanname = 'plpgsql' AND r.body ~ '\mexecute\M' THEN 'it runs text with EXECUTE'
        WHEN r.lanname IN ('plperl', 'pltcl', 'plv8') AND r.body ~ '(spi_|plv8\.execute)'
            THEN 'it runs SQL text'
        WHEN r.body ~ '\m(query_to_xml\w*|cursor_to_xml\w*|ts_stat|dblink\w*|crosstab\w*|connectby)\M\s*\('
            THEN 'it runs text through a function that does'
        END AS how) h
    WHERE h.how IS NOT NULL
)
