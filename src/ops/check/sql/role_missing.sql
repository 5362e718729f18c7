SELECT 'role ' || name, 'the server has no such role',
       CASE WHEN name = ANY (given.tenant_roles)
            THEN '-- run: pgtenant provision --config FILE --url URL --all' END
FROM given, unnest(given.roles) AS name
WHERE name NOT IN (SELECT rolname FROM pg_roles)
