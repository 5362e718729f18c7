SELECT 'role ' || rolname, NULL, format('ALTER ROLE %s NOBYPASSRLS;', ident)
FROM roles WHERE rolbypassrls
