-- Functions that read the setting, themselves or through others: policies may
-- read it through them.
readers AS (
    SELECT r.oid, lower(r.proname) AS proname, r.call FROM routines r, given
    WHERE given.setting <> '' AND strpos(r.body, given.setting) > 0
    UNION
    SELECT r.oid, lower(r.proname), r.call
    FROM readers d JOIN routines r ON r.oid <> d.oid AND r.body ~ d.call
),
policies AS (
    SELECT p.oid, p.polrelid, p.polname, p.polcmd, p.polpermissive, p.polroles,
           e.qual, e.checks, e.uses_columns,
           strpos(lower(e.qual), given.setting) > 0 OR (e.uses_columns AND EXISTS (
               SELECT FROM readers WHERE lower(e.qual) ~ readers.call)) AS qual_reads,
           strpos(lower(e.checks), given.setting) > 0 OR (e.uses_columns AND EXISTS (
               SELECT FROM readers WHERE lower(e.checks) ~ readers.call)) AS checks_read,
           0::oid = ANY (p.polroles) OR EXISTS (
               SELECT FROM roles r, unnest(p.polroles) AS named (oid)
               WHERE named.oid <> 0 AND pg_has_role(r.oid, named.oid, 'USAGE')
           ) AS applies
    FROM given, pg_policy p,
         LATERAL (SELECT pg_get_expr(p.polqual, p.polrelid) AS qual,
                         pg_get_expr(p.polwithcheck, p.polrelid) AS checks,
                         EXISTS (SELECT FROM pg_depend d
                                 WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid
                                   AND d.refclassid = 'pg_class'::regclass
                                   AND d.refobjid = p.polrelid AND d.refobjsubid > 0) AS uses_columns) e
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
-- What policies compare with the setting, as Rust has read it from them.
compared AS (
    SELECT c.policy, a.attrelid, a.attnum, a.attname, a.atttypid, c.direct, c.bare,
           c.expression, c.reading, c.whole
    FROM given, jsonb_to_recordset(given.comparisons) AS c (
        policy oid, attname text, direct boolean, bare boolean, expression text,
        reading text, whole text)
    JOIN pg_policy p ON p.oid = c.policy
    JOIN pg_attribute a ON a.attrelid = p.polrelid AND a.attname = c.attname
    WHERE a.attnum > 0 AND NOT a.attisdropped
),
