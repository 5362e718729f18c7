SELECT 'table ' || p.name,
       CASE WHEN p.relowner = r.oid THEN r.rolname || ' owns it'
            ELSE r.rolname || ' has the rights of its owner ' || pg_get_userbyid(p.relowner) END,
       CASE WHEN p.relrowsecurity AND NOT p.relforcerowsecurity
            THEN format('ALTER TABLE %s FORCE ROW LEVEL SECURITY; ', p.name) ELSE '' END
       || CASE WHEN p.relowner = r.oid THEN format('ALTER TABLE %s OWNER TO CURRENT_USER;', p.name)
               ELSE format('REVOKE %I FROM %s;', pg_get_userbyid(p.relowner), r.ident) END
FROM roles r, protected p
WHERE pg_has_role(r.oid, p.relowner, 'USAGE')
