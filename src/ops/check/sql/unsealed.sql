SELECT DISTINCT 'table ' || t.name, 'no restrictive policy asks for what the seal vouches for',
       '-- run: pgtenant harden --config FILE --apply URL'
FROM protected t JOIN reachable r ON r.relid = t.oid
WHERE t.relkind IN ('r', 'p') AND t.relrowsecurity
  AND NOT EXISTS (SELECT FROM policies p
                  WHERE p.polrelid = t.oid AND NOT p.polpermissive AND p.applies
                    AND coalesce(p.qual, '') ~ '\mpgtenant\.')
