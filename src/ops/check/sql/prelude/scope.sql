-- What the checks share. Every check is one query behind these; PostgreSQL
-- evaluates those that it names.
-- $1 roles that clients' statements run as; $2 the tenant's setting, '' if none;
-- $3, $4 roles and their schemas, in pairs, where tenants have their own; $5 what
-- policies compare with the setting (see comparisons.rs); $6 the tenants' values of it.
WITH RECURSIVE
given AS (
    SELECT $1::text[] AS roles, lower($2::text) AS setting,
           $3::text[] AS tenant_roles, $4::text[] AS tenant_schemas,
           $5::text::jsonb AS comparisons, $6::text[] AS tenants
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
           f.proretset, l.lanname, l.lanpltrusted, n.nspname, f.pronamespace, f.prokind,
           '\m' || regexp_replace(lower(f.proname), '\W', '.', 'g') || '\M\s*\(' AS call,
           f.oid::regprocedure::text AS name,
           lower(f.prosrc || coalesce(' ' || pg_get_function_sqlbody(f.oid), '')) AS body,
           EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass
                     AND d.objid = f.oid AND d.deptype = 'e') AS of_extension
    FROM pg_proc f
    JOIN schemas n ON n.oid = f.pronamespace
    JOIN pg_language l ON l.oid = f.prolang
    WHERE f.prokind IN ('f', 'p', 'w')
),
