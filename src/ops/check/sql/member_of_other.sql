SELECT 'role ' || m.rolname, format('it is a member of %I', pg_get_userbyid(a.roleid)),
       format('REVOKE %I FROM %s%s;', pg_get_userbyid(a.roleid), m.ident,
              CASE WHEN current_setting('server_version_num')::int >= 160000 AND a.grantor <> 10
                   THEN ' GRANTED BY ' || quote_ident(pg_get_userbyid(a.grantor)) ELSE '' END)
FROM given, members m JOIN pg_auth_members a ON a.member = m.oid
WHERE pg_get_userbyid(a.roleid) <> ALL (given.roles)
