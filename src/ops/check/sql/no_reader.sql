-- Where views ask for the tenant instead, it is they that keep tenants apart.
SELECT 'setting ' || given.setting,
       CASE WHEN names.list IS NULL THEN 'no policy reads any setting'
            ELSE 'policies read others: ' || names.list END, NULL::text
FROM given,
LATERAL (SELECT string_agg(DISTINCT m.found[1], ', ') AS list
         FROM (SELECT concat(qual, ' ', checks) FROM policies
               UNION ALL
               SELECT body FROM routines WHERE oid IN (SELECT oid FROM of_policies)) AS t (text),
              regexp_matches(t.text, 'current_setting\(\s*''([^'']+)''', 'g') AS m (found)) names
WHERE given.setting <> ''
  AND NOT EXISTS (SELECT FROM policies p WHERE p.applies AND (p.qual_reads OR p.checks_read))
  AND EXISTS (SELECT FROM relations t JOIN reachable r ON r.relid = t.oid WHERE t.relkind IN ('r', 'p'))
  AND NOT EXISTS (SELECT FROM relations v JOIN reachable r ON r.relid = v.oid, readers
                  WHERE v.relkind = 'v' AND lower(pg_get_viewdef(v.oid)) ~ readers.call)
  AND NOT EXISTS (SELECT FROM relations v JOIN reachable r ON r.relid = v.oid
                  WHERE v.relkind = 'v' AND strpos(lower(pg_get_viewdef(v.oid)), given.setting) > 0)
