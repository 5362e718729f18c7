SELECT 'role ' || rolname, NULL, format('ALTER ROLE %s NOSUPERUSER;', ident)
FROM all_roles WHERE rolsuper
