SELECT CASE WHEN s.setrole <> 0 THEN 'role ' || pg_get_userbyid(s.setrole)
            ELSE 'database ' || d.datname END,
       'it sets ' || c.entry,
       CASE WHEN s.setrole <> 0 AND s.setdatabase <> 0
              THEN format('ALTER ROLE %I IN DATABASE %I RESET %s;', pg_get_userbyid(s.setrole),
                          d.datname, c.name)
            WHEN s.setrole <> 0
              THEN format('ALTER ROLE %I RESET %s;', pg_get_userbyid(s.setrole), c.name)
            ELSE format('ALTER DATABASE %I RESET %s;', d.datname, c.name) END
FROM given, pg_db_role_setting s
LEFT JOIN pg_database d ON d.oid = s.setdatabase,
LATERAL unnest(s.setconfig) AS e (entry),
LATERAL (SELECT e.entry, split_part(e.entry, '=', 1) AS name) c
WHERE given.setting <> '' AND lower(c.name) = given.setting
  AND substr(c.entry, length(c.name) + 2) <> ''
  AND (s.setrole = 0 OR s.setrole IN (SELECT oid FROM all_roles))
  AND (s.setdatabase = 0 OR d.datname = current_database())
