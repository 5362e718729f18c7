SELECT 'role ' || m.rolname, format('no %s is stored for it', given.setting),
       format('ALTER ROLE %s SET "%s" TO %L;', m.ident, replace(given.setting, '.', '"."'), m.tenant)
FROM given, members m
LEFT JOIN stored own ON own.setrole = m.oid
LEFT JOIN stored other ON other.setrole = 0
WHERE coalesce(own.value, other.value, '') = ''
