SELECT DISTINCT 'schema ' || name, 'the database has no such schema',
       '-- run: pgtenant provision --config FILE --url URL --all'
FROM given, unnest(given.tenant_schemas) AS name
WHERE name NOT IN (SELECT nspname FROM pg_namespace)
