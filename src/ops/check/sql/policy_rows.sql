-- One row for each policy that can let rows through: the policy, its
-- expression, whether nothing but built-in functions is in it, and the two
-- queries that try it, together with the restrictive ones that ask for the tenant.
SELECT format('policy %I on %s', p.polname, t.name), p.qual,
       format('ALTER POLICY %I ON %s USING (', p.polname, t.name) || t.predicate || ');',
       NOT EXISTS (SELECT FROM pg_depend d JOIN policies q ON q.oid = d.objid
                   WHERE d.classid = 'pg_policy'::regclass
                     AND (q.oid = p.oid OR (q.polrelid = t.oid AND NOT q.polpermissive))
                     AND (d.refclassid, d.refobjid) NOT IN (('pg_class'::regclass, t.oid))
                     AND d.refobjid >= 16384)
       -- Nor in a condition of a type: a value of a domain runs the domain's.
       AND NOT c.nested_domain,
       format('SELECT (%s) IS TRUE FROM (SELECT %s) AS %I', w.qual, c.samples, t.relname),
       format('SELECT (%s) IS TRUE FROM (SELECT %s) AS %I', w.qual, c.nulls, t.relname),
       NOT EXISTS (SELECT FROM walls WHERE walls.polrelid = t.oid AND walls.polcmd IN ('*', p.polcmd))
       AND p.qual ~* '(IS NULL\)? OR |= ''''(::text)?\)? OR |= ''''(::text)?\)? THEN true)'
FROM policies p JOIN protected t ON t.oid = p.polrelid,
LATERAL (
    SELECT concat_ws(' AND ', format('(%s)', p.qual), string_agg(format('(%s)', walls.qual), ' AND '))
               AS qual
    FROM walls WHERE walls.polrelid = t.oid AND walls.polcmd IN ('*', p.polcmd)
) w,
LATERAL (
    SELECT string_agg(format('NULL::%s AS %I', b.type, a.attname),
                      ', ' ORDER BY a.attnum) AS nulls,
           string_agg(format('%s::%s AS %I', CASE
                   WHEN y.oid = 'uuid'::regtype THEN '''00000000-0000-4000-8000-000000000000'''
                   WHEN y.typtype = 'b' AND y.typcategory = 'N' THEN '''7'''
                   WHEN y.typtype = 'b' AND y.typcategory = 'S' THEN '''x'''
                   ELSE 'NULL' END, b.type, a.attname),
                      ', ' ORDER BY a.attnum) AS samples,
           bool_or(y.typtype = 'd') AS nested_domain
    FROM pg_attribute a
    JOIN pg_type declared ON declared.oid = a.atttypid
    JOIN pg_type y ON y.oid = coalesce(nullif(declared.typbasetype, 0), declared.oid),
    LATERAL (SELECT format_type(y.oid, CASE declared.typbasetype WHEN 0 THEN a.atttypmod
                                       ELSE declared.typtypmod END) AS type) b
    WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
) c
WHERE p.polpermissive AND p.polcmd <> 'a' AND p.qual_reads AND p.applies
  AND EXISTS (SELECT FROM reachable r WHERE r.relid = t.oid)
