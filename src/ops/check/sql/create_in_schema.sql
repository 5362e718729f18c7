SELECT 'schema ' || n.nspname, r.rolname || ' may create objects in it',
       CASE WHEN pg_has_role(r.oid, n.nspowner, 'USAGE')
            THEN format('ALTER SCHEMA %I OWNER TO CURRENT_USER; ', n.nspname) ELSE '' END
       || format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC, %s;', n.nspname, r.ident)
FROM schemas n JOIN roles r ON has_schema_privilege(r.oid, n.oid, 'CREATE')
WHERE NOT EXISTS (SELECT FROM given, unnest(given.tenant_roles, given.tenant_schemas) AS own (role, schema)
                  WHERE own.role = r.rolname AND own.schema = n.nspname)
UNION ALL
SELECT 'database ' || d.datname, r.rolname || ' may create schemas in it',
       CASE WHEN pg_has_role(r.oid, d.datdba, 'USAGE')
            THEN format('ALTER DATABASE %I OWNER TO CURRENT_USER; ', d.datname) ELSE '' END
       || format('REVOKE CREATE ON DATABASE %I FROM PUBLIC, %s;', d.datname, r.ident)
FROM pg_database d JOIN roles r ON has_database_privilege(r.oid, d.oid, 'CREATE')
WHERE d.datname = current_database()
