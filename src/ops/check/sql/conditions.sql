-- The conditions of policies that read the setting, and each without the lengths
-- of its casts.
SELECT p.oid, t.relname::text, format('policy %I on %s', p.polname, t.name), p.qual, p.checks,
       format('ALTER POLICY %I ON %s', p.polname, t.name) || ' USING (' || whole.qual || ')'
       || coalesce(' WITH CHECK (' || whole.checks || ')', '') || ';',
       EXISTS (SELECT FROM reachable r WHERE r.relid = t.oid)
FROM policies p JOIN relations t ON t.oid = p.polrelid,
LATERAL (SELECT '::character varying\(\d+\)' AS varying, '::(character\(\d+\)|"char"|name)' AS fixed) lengths,
LATERAL (SELECT regexp_replace(regexp_replace(p.qual, varying, '::character varying', 'g'), fixed, '::bpchar', 'g') AS qual,
                regexp_replace(regexp_replace(p.checks, varying, '::character varying', 'g'), fixed, '::bpchar', 'g') AS checks
         ) whole
WHERE p.applies AND (p.qual_reads OR p.checks_read)
