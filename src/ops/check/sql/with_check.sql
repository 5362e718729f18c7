SELECT DISTINCT format('policy %I on %s', p.polname, t.name),
       format('%s WITH CHECK (%s)', CASE p.polcmd WHEN 'a' THEN 'FOR INSERT' WHEN 'w' THEN 'FOR UPDATE'
              ELSE 'FOR ALL' END, p.checks),
       format('ALTER POLICY %I ON %s WITH CHECK (', p.polname, t.name)
       || CASE WHEN p.checks = 'true' THEN t.predicate
               ELSE '(' || p.checks || ') AND (' || t.predicate || ')' END || ');'
FROM policies p JOIN protected t ON t.oid = p.polrelid
JOIN reachable r ON r.relid = t.oid AND (r.may_insert OR r.may_update)
WHERE p.polpermissive AND p.polcmd IN ('*', 'a', 'w') AND p.applies
  AND p.checks IS NOT NULL AND NOT p.checks_read AND p.checks <> 'false'
  AND NOT EXISTS (SELECT FROM walls w WHERE w.polrelid = p.polrelid
                    AND w.polcmd IN ('*', p.polcmd) AND w.guards_writing)
