-- An owner can always grant itself the right again: another one must own it.
SELECT 'schema ' || n.nspname, r.rolname || ' may create objects in it' || coalesce(v.through, ''),
       CASE WHEN pg_has_role(r.oid, n.nspowner, 'USAGE')
            THEN format('ALTER SCHEMA %I OWNER TO CURRENT_USER; GRANT USAGE ON SCHEMA %I TO %s; ',
                        n.nspname, n.nspname, r.ident) ELSE '' END
       || format(v.template, format('CREATE ON SCHEMA %I', n.nspname))
FROM schemas n JOIN roles r ON has_schema_privilege(r.oid, n.oid, 'CREATE')
LEFT JOIN revokes v ON v.role = r.oid AND v.class = 'pg_namespace'::regclass AND v.object = n.oid
     AND v.privilege = 'CREATE'
WHERE NOT EXISTS (SELECT FROM given, unnest(given.tenant_roles, given.tenant_schemas) AS own (role, schema)
                  WHERE own.role = r.rolname AND own.schema = n.nspname)
UNION ALL
SELECT 'database ' || d.datname, r.rolname || ' may create schemas in it' || coalesce(v.through, ''),
       CASE WHEN pg_has_role(r.oid, d.datdba, 'USAGE')
            THEN format('ALTER DATABASE %I OWNER TO CURRENT_USER; GRANT CONNECT ON DATABASE %I TO %s; ',
                        d.datname, d.datname, r.ident) ELSE '' END
       || format(v.template, format('CREATE ON DATABASE %I', d.datname))
FROM pg_database d JOIN roles r ON has_database_privilege(r.oid, d.oid, 'CREATE')
LEFT JOIN revokes v ON v.role = r.oid AND v.class = 'pg_database'::regclass AND v.object = d.oid
     AND v.privilege = 'CREATE'
WHERE d.datname = current_database()
