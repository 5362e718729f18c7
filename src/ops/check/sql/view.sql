SELECT DISTINCT 'view ' || v.name,
       format('it reads %s with the rights of its owner %s, whom the policies do not bind',
              string_agg(DISTINCT t.name, ', '), pg_get_userbyid(v.relowner)),
       CASE WHEN current_setting('server_version_num')::int >= 150000
            THEN format('ALTER VIEW %s SET (security_invoker = true);', v.name)
            ELSE format('REVOKE ALL ON %s %s;', v.name, min(r.from_whom)) END
FROM relations v
JOIN reachable r ON r.relid = v.oid
JOIN view_uses u ON u.view = v.oid
JOIN protected t ON t.oid = u.used
JOIN bypassers b ON b.owner = v.relowner AND b.relid = t.oid
WHERE v.relkind = 'v'
  AND NOT coalesce(v.reloptions::text ~* 'security_invoker=(true|on|1|yes)', false)
GROUP BY v.name, v.relowner
