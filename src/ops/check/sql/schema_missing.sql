SELECT DISTINCT 'schema ' || name, 'the database has no such schema', NULL::text
FROM given, unnest(given.tenant_schemas) AS name
WHERE name NOT IN (SELECT nspname FROM pg_namespace)
