-- Who gives a table away must be let in by grants: the rights of an owner go with
-- the ownership, those to the sequences of its columns too.
SELECT 'table ' || p.name, r.rolname || ' owns it',
       format('ALTER TABLE %s OWNER TO CURRENT_USER; GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %s;',
              p.name, p.name, r.ident)
       || coalesce((SELECT string_agg(format(' GRANT USAGE, SELECT ON SEQUENCE %s TO %s;', s.objid::regclass, r.ident), '')
                    FROM pg_depend s JOIN pg_class c ON c.oid = s.objid AND c.relkind = 'S'
                    WHERE s.classid = 'pg_class'::regclass AND s.refclassid = 'pg_class'::regclass
                      AND s.refobjid = p.oid AND s.deptype IN ('a', 'i')), '')
FROM roles r JOIN protected p ON p.relowner = r.oid
WHERE p.relkind IN ('r', 'p', 'f')
UNION ALL
SELECT 'role ' || r.rolname,
       format('it has the rights of %s, the owner of %s', o.rolname,
              (SELECT min(p.name) || CASE count(*) WHEN 1 THEN '' ELSE format(' and %s other tables', count(*) - 1) END
               FROM protected p WHERE p.relowner = o.oid)) || m.through,
       -- What it has through the owner alone it is given first.
       coalesce((SELECT string_agg(format('GRANT USAGE ON SCHEMA %I TO %s; ', n.nspname, r.ident), '' ORDER BY n.nspname)
                 FROM schemas n WHERE n.nspowner = o.oid), '')
       || coalesce((SELECT string_agg(format('GRANT %s TO %s; ', CASE c.relkind WHEN 'S'
                               THEN 'USAGE, SELECT ON SEQUENCE ' ELSE 'SELECT, INSERT, UPDATE, DELETE ON ' END
                               || format('%I.%I', n.nspname, c.relname), r.ident), '' ORDER BY c.oid)
                    FROM pg_class c JOIN schemas n ON n.oid = c.relnamespace
                    WHERE c.relowner = o.oid AND c.relkind IN ('r', 'p', 'v', 'f', 'S') AND NOT c.relispartition
                      AND NOT EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee = r.oid)), '')
       || m.fix
FROM roles r JOIN pg_roles o ON o.oid <> r.oid AND pg_has_role(r.oid, o.oid, 'USAGE')
JOIN memberships m ON m.role = r.oid AND m.target = o.oid
WHERE EXISTS (SELECT FROM protected p WHERE p.relowner = o.oid)
