SELECT 'role ' || m.rolname, format('it has not got the rights of %I', g.rolname),
       format('ALTER ROLE %s INHERIT; GRANT %I TO %s%s;', m.ident, g.rolname, m.ident,
              CASE WHEN current_setting('server_version_num')::int >= 160000
                   THEN ' WITH INHERIT TRUE, SET FALSE' ELSE '' END)
FROM given, members m, pg_roles g
WHERE g.rolname = ANY (given.roles) AND NOT pg_has_role(m.oid, g.oid, 'USAGE')
