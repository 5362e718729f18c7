SELECT 'role ' || name, 'the server has no such role', NULL::text
FROM given, unnest(given.roles) AS name
WHERE name NOT IN (SELECT rolname FROM pg_roles)
