SELECT 'database ' || d.datname, 'CONNECT is granted to PUBLIC',
       format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC; ', d.datname)
       || coalesce((SELECT string_agg(format('GRANT CONNECT ON DATABASE %I TO %s;', d.datname, ident), ' ')
                    FROM roles), '')
FROM pg_database d,
LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS a
WHERE d.datname = current_database() AND a.grantee = 0 AND a.privilege_type = 'CONNECT'
