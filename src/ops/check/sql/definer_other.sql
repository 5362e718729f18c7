SELECT 'function ' || f.name,
       format('it runs as %s, whom row-level security does not bind', pg_get_userbyid(f.proowner))
       || coalesce('; ' || f.hindrance, ''),
       CASE WHEN f.hindrance IS NULL THEN format('ALTER ROUTINE %s SECURITY INVOKER;', f.name) END
FROM definers f WHERE f.names IS NULL AND NOT (f.is_of_policy AND f.asks_for_tenant)
