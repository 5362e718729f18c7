SELECT DISTINCT lower(found.name[1])
FROM pg_catalog.pg_policy p,
     regexp_matches(concat(pg_get_expr(p.polqual, p.polrelid), ' ', pg_get_expr(p.polwithcheck, p.polrelid)),
                    'current_setting\(''([^'']+)''', 'g') AS found (name)
WHERE found.name[1] NOT LIKE 'pgtenant.%'
ORDER BY 1 LIMIT 20
