SET LOCAL search_path = pg_catalog, pg_temp; RESET @ident@;
SELECT session_user::pg_catalog.text, current_user::pg_catalog.text,
    pg_catalog.current_setting(@name@, true),
    (SELECT e.value
     FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) AS c (entry),
     LATERAL (SELECT pg_catalog.lower(pg_catalog.split_part(c.entry, '=', 1)) AS name,
         pg_catalog.substr(c.entry, pg_catalog.strpos(c.entry, '=') + 1) AS value) e
     WHERE s.setrole IN (0, (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = session_user))
         AND s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database
             WHERE datname = pg_catalog.current_database()))
         AND e.name = @name@
     ORDER BY s.setrole <> 0 DESC, s.setdatabase <> 0 DESC LIMIT 1)
