SELECT r.rolsuper::text, r.rolbypassrls::text,
       coalesce((SELECT string_agg(DISTINCT c.oid::regclass::text, ', ')
                 FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid
                 WHERE c.relrowsecurity AND NOT c.relforcerowsecurity
                   AND pg_has_role(r.oid, c.relowner, 'USAGE')), ''),
       coalesce((SELECT string_agg(m.rolname, ', ') FROM pg_catalog.pg_roles m
                 WHERE m.oid <> r.oid AND (m.rolsuper OR m.rolbypassrls) AND NOT r.rolsuper
                   AND pg_has_role(r.oid, m.oid, 'MEMBER')), ''),
       r.rolcreaterole::text
FROM pg_catalog.pg_roles r WHERE r.rolname = current_user
