SELECT w.reason FROM pg_catalog.pg_roles r
LEFT JOIN pg_catalog.pg_roles o ON o.rolname = r.rolname || '_owner',
LATERAL (
    SELECT 'it has attributes of an administrator' AS reason
        WHERE r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolreplication
    UNION ALL (
        SELECT 'it is a member of role ' || pg_catalog.quote_ident(g.rolname)
        FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
        WHERE m.member = r.oid ORDER BY 1 LIMIT 1)
    UNION ALL (
        SELECT pg_catalog.concat('it may read ', pg_catalog.quote_ident(n.nspname), '.', pg_catalog.quote_ident(c.relname),
            CASE WHEN c.relowner = r.oid THEN ', which it owns'
                WHEN EXISTS (SELECT FROM pg_catalog.aclexplode(c.relacl) a
                    WHERE a.privilege_type = 'SELECT' AND a.grantee = r.oid) THEN ', by a grant to it'
                WHEN EXISTS (SELECT FROM pg_catalog.aclexplode(c.relacl) a
                    WHERE a.privilege_type = 'SELECT' AND a.grantee = 0) THEN ', by a grant to PUBLIC'
                ELSE ', by a grant of columns' END)
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
            AND n.nspname NOT IN ('pg_catalog', 'information_schema')
            AND (c.relkind <> 'v' OR o.oid IS NULL OR c.relowner <> o.oid)
            AND (c.relowner = r.oid
                OR EXISTS (SELECT FROM pg_catalog.aclexplode(c.relacl) a
                    WHERE a.privilege_type = 'SELECT' AND a.grantee IN (0, r.oid))
                OR c.oid IN (SELECT t.attrelid FROM pg_catalog.pg_attribute t, pg_catalog.aclexplode(t.attacl) a
                    WHERE t.attacl IS NOT NULL AND a.privilege_type = 'SELECT' AND a.grantee IN (0, r.oid)))
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.deptype = 'e' AND d.objid = c.oid
                AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass)
        ORDER BY 1 LIMIT 10)
    UNION ALL
    SELECT pg_catalog.concat('role ', pg_catalog.quote_ident(r.rolname || '_owner'), ' of the masked views is missing')
        WHERE o.oid IS NULL
    UNION ALL
    SELECT pg_catalog.concat('the owner of the masked views, ', pg_catalog.quote_ident(o.rolname),
        ', is not bound by row-level security')
        WHERE o.rolsuper OR o.rolbypassrls
    UNION ALL
    SELECT pg_catalog.concat('somebody can log in as the owner of the masked views, ', pg_catalog.quote_ident(o.rolname))
        WHERE o.rolcanlogin
    UNION ALL (
        SELECT pg_catalog.concat('the owner of the masked views, ', pg_catalog.quote_ident(o.rolname),
            ', has the rights of the owner of ', c.oid::pg_catalog.regclass::text,
            ': row-level security does not bind it there')
        FROM (SELECT DISTINCT polrelid FROM pg_catalog.pg_policy) p
        JOIN pg_catalog.pg_class c ON c.oid = p.polrelid
        WHERE c.relrowsecurity AND NOT c.relforcerowsecurity AND NOT o.rolsuper
            AND pg_catalog.pg_has_role(o.oid, c.relowner, 'USAGE')
        ORDER BY 1 LIMIT 1)
) w
WHERE r.rolname = @reader@
