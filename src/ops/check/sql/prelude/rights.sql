-- Every grant through which a role has a right, but those of a tenant's role to
-- itself where another tenant's has it through membership.
grants AS (
    SELECT r.oid AS role, g.class, g.object, a.privilege_type AS privilege,
           CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS whom,
           CASE WHEN a.grantor <> g.owner THEN quote_ident(pg_get_userbyid(a.grantor)) END AS grantor,
           CASE WHEN a.grantee NOT IN (0, r.oid)
                THEN quote_ident(pg_get_userbyid(a.grantee)) END AS through,
           a.is_grantable AND a.grantee <> g.owner AS can_be_granted_on
    FROM given, roles r, (
        SELECT 'pg_class'::regclass AS class, c.oid AS object, c.relowner AS owner,
               coalesce(c.relacl, acldefault('r', c.relowner)) AS acl
        FROM pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.oid >= 16384
        UNION ALL
        SELECT 'pg_class'::regclass, c.oid, c.relowner, a.attacl
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE a.attacl IS NOT NULL AND NOT a.attisdropped AND c.oid >= 16384
        UNION ALL
        SELECT 'pg_proc'::regclass, f.oid, f.proowner, coalesce(f.proacl, acldefault('f', f.proowner))
        FROM pg_proc f WHERE f.oid >= 16384
        UNION ALL
        SELECT 'pg_namespace'::regclass, n.oid, n.nspowner, coalesce(n.nspacl, acldefault('n', n.nspowner))
        FROM pg_namespace n
        UNION ALL
        SELECT 'pg_database'::regclass, d.oid, d.datdba, coalesce(d.datacl, acldefault('d', d.datdba))
        FROM pg_database d WHERE d.datname = current_database()
        UNION ALL
        SELECT 'pg_foreign_server'::regclass, s.oid, s.srvowner, coalesce(s.srvacl, acldefault('S', s.srvowner))
        FROM pg_foreign_server s
        UNION ALL
        SELECT 'pg_foreign_data_wrapper'::regclass, w.oid, w.fdwowner, coalesce(w.fdwacl, acldefault('F', w.fdwowner))
        FROM pg_foreign_data_wrapper w
    ) AS g, aclexplode(g.acl) AS a
    WHERE a.grantee IN (0, r.oid)
       OR (pg_has_role(r.oid, a.grantee, 'USAGE')
           AND pg_get_userbyid(a.grantee) <> ALL (given.roles))
),
-- What takes a right away, as a template for format(…, 'SELECT ON public.t'), by
-- privilege; under '*' what takes all of them. Where there is no row, the right
-- comes from a predefined role or from being another tenant's.
revokes AS (
    SELECT role, class, object, privilege,
           string_agg(statement, ' ' ORDER BY grantor NULLS LAST) AS template,
           coalesce(' through ' || nullif(string_agg(through, ', '), '')
                    || ': its other members lose it too', '') AS through
    FROM (
        SELECT role, class, object, coalesce(privilege, '*') AS privilege, grantor,
               string_agg(DISTINCT through, ', ') AS through,
               coalesce('SET ROLE ' || replace(grantor, '%', '%%') || '; ', '')
               || 'REVOKE %1$s FROM '
               || replace(string_agg(DISTINCT whom, ', ' ORDER BY whom), '%', '%%')
               || CASE WHEN bool_or(can_be_granted_on) THEN ' CASCADE;' ELSE ';' END
               || CASE WHEN grantor IS NULL THEN '' ELSE ' RESET ROLE;' END AS statement
        FROM grants
        GROUP BY GROUPING SETS ((role, class, object, grantor, privilege), (role, class, object, grantor))
    ) AS by_grantor
    GROUP BY role, class, object, privilege
),
-- What a role can do with a relation, and what it would be taken away with.
reach AS (
    SELECT r.oid AS role, c.oid AS relid, r.ident AS ident, c.relnamespace,
           has_any_column_privilege(r.oid, c.oid, 'SELECT') AS may_select,
           has_any_column_privilege(r.oid, c.oid, 'INSERT') AS may_insert,
           has_any_column_privilege(r.oid, c.oid, 'UPDATE') AS may_update,
           has_table_privilege(r.oid, c.oid, 'DELETE') AS may_delete,
           has_table_privilege(r.oid, c.oid, 'TRUNCATE') AS may_truncate,
           has_table_privilege(r.oid, c.oid, 'TRIGGER') AS may_trigger,
           has_any_column_privilege(r.oid, c.oid, 'REFERENCES') AS may_refer
    FROM roles r, relations c
    WHERE has_schema_privilege(r.oid, c.relnamespace, 'USAGE')
),
reachable AS (
    SELECT * FROM reach WHERE may_select OR may_insert OR may_update OR may_delete
),
-- Which roles a role is made a member of, by whom or what, and what undoes it.
memberships AS (
    SELECT r.oid AS role, m.roleid AS target,
           string_agg(format('REVOKE %I FROM %I%s;', pg_get_userbyid(m.roleid), pg_get_userbyid(m.member),
                             CASE WHEN current_setting('server_version_num')::int >= 160000 AND m.grantor <> 10
                                  THEN ' GRANTED BY ' || quote_ident(pg_get_userbyid(m.grantor)) ELSE '' END
                             || CASE WHEN EXISTS (SELECT FROM pg_auth_members o WHERE o.roleid = m.roleid
                                                    AND o.grantor = m.member)
                                     THEN ' CASCADE' ELSE '' END), ' ') AS fix,
           coalesce(' through ' || nullif(string_agg(DISTINCT pg_get_userbyid(m.member), ', ')
                        FILTER (WHERE m.member <> r.oid), '')
                    || ': its other members lose it too', '') AS through
    FROM roles r JOIN pg_auth_members m ON pg_has_role(r.oid, m.member, 'MEMBER')
    GROUP BY r.oid, m.roleid
),
view_uses AS (
    SELECT w.ev_class AS view, d.refobjid AS used
    FROM pg_rewrite w JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
         AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> w.ev_class
    UNION
    SELECT v.view, d.refobjid
    FROM view_uses v
    JOIN pg_rewrite w ON w.ev_class = v.used
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
         AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> w.ev_class
),
-- Whose rights put row-level security of a table aside.
bypassers AS (
    SELECT o.oid AS owner, p.oid AS relid
    FROM pg_roles o, protected p
    WHERE NOT p.relrowsecurity OR o.rolsuper OR o.rolbypassrls
       OR (NOT p.relforcerowsecurity AND pg_has_role(o.oid, p.relowner, 'USAGE'))
),
-- The seal makes the setting worthless to code that changes it.
unsealed AS (
    SELECT EXISTS (
        SELECT FROM protected t
        WHERE t.relkind IN ('r', 'p') AND NOT EXISTS (
            SELECT FROM policies p
            WHERE p.polrelid = t.oid AND NOT p.polpermissive
              AND coalesce(p.qual, '') ~ '\mpgtenant\.')
    ) AS holds
),
