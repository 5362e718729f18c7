SELECT 'function ' || f.name,
       format('a policy of %s calls it, and it reads %s as %s', f.polrelid::regclass,
              coalesce(f.names, 'tables'), pg_get_userbyid(f.proowner)), NULL::text
FROM definers f WHERE f.is_of_policy AND f.asks_for_tenant
