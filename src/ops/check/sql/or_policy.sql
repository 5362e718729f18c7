SELECT DISTINCT format('policy %I on %s', p.polname, t.name),
       format('%s USING (%s)', CASE p.polcmd WHEN 'r' THEN 'FOR SELECT' WHEN 'w' THEN 'FOR UPDATE'
              WHEN 'd' THEN 'FOR DELETE' ELSE 'FOR ALL' END, p.qual),
       format('ALTER POLICY %I ON %s USING ((%s) AND (', p.polname, t.name, p.qual) || t.predicate || '));'
FROM policies p JOIN protected t ON t.oid = p.polrelid
JOIN reachable r ON r.relid = t.oid
WHERE p.polpermissive AND p.polcmd <> 'a' AND p.applies AND NOT p.qual_reads
  AND p.qual <> 'false'
  -- Restrictive policies are joined with AND: one that asks for the tenant is enough.
  AND NOT EXISTS (SELECT FROM walls w WHERE w.polrelid = p.polrelid
                    AND w.polcmd IN ('*', p.polcmd) AND w.guards_reading)
  -- A subquery over another protected table is bound by that table's policies.
  AND NOT EXISTS (SELECT FROM pg_depend d JOIN protected o ON o.oid = d.refobjid
                  WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid
                    AND d.refclassid = 'pg_class'::regclass AND o.oid <> t.oid
                    AND o.relrowsecurity)
