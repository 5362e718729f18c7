SELECT DISTINCT format('policy %I on %s', p.polname, t.name),
       CASE WHEN bool_or(r.may_insert OR r.may_update OR r.may_delete) AND p.polcmd <> 'r'
            THEN 'every tenant can read and change every row' ELSE 'every tenant can read every row' END, NULL::text
FROM policies p JOIN relations t ON t.oid = p.polrelid
JOIN reachable r ON r.relid = t.oid
WHERE p.polpermissive AND p.applies AND p.qual = 'true' AND t.relrowsecurity
  AND t.oid NOT IN (SELECT oid FROM protected)
  AND NOT EXISTS (SELECT FROM walls w WHERE w.polrelid = p.polrelid
                    AND w.polcmd IN ('*', p.polcmd) AND w.guards_reading)
GROUP BY p.polname, t.name, p.polcmd
