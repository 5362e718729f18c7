SELECT 'role ' || m.rolname,
       format('%s = %s is stored for %s, and its tenant is %s', given.setting,
              quote_literal(coalesce(own.value, other.value)),
              CASE WHEN own.value IS NULL THEN 'all roles' ELSE 'it' END, m.tenant),
       format('ALTER ROLE %s%s SET "%s" TO %L;', m.ident,
              CASE WHEN own.setdatabase <> 0 THEN format(' IN DATABASE %I', current_database())
                   ELSE '' END, replace(given.setting, '.', '"."'), m.tenant)
FROM given, members m
LEFT JOIN stored own ON own.setrole = m.oid
LEFT JOIN stored other ON other.setrole = 0
WHERE coalesce(own.value, other.value) <> ALL (ARRAY['', m.tenant])
