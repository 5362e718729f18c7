SELECT DISTINCT 'view ' || v.name, 'its own condition on the setting hides the rows',
       format('ALTER VIEW %s SET (security_barrier = true);', v.name)
FROM given, relations v JOIN reachable r ON r.relid = v.oid
WHERE v.relkind = 'v' AND given.setting <> ''
  AND strpos(lower(pg_get_viewdef(v.oid)), given.setting) > 0
  AND NOT coalesce(v.reloptions::text ~* 'security_(invoker|barrier)=(true|on|1|yes)', false)
