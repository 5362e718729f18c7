SELECT count(*) AS connections, state FROM pg_stat_activity GROUP BY state

SELECT datname, usename, application_name, client_addr, state, count(*) AS n FROM pg_stat_activity
WHERE datname IS NOT NULL GROUP BY 1, 2, 3, 4, 5 ORDER BY n DESC

SELECT pid, now() - pg_stat_activity.query_start AS duration, query, state FROM pg_stat_activity
WHERE (now() - pg_stat_activity.query_start) > interval '5 minutes'

SELECT blocked.pid AS blocked_pid, of_blocked.usename, blocking.pid AS blocking_pid, of_blocking.query
FROM pg_catalog.pg_locks blocked
JOIN pg_catalog.pg_stat_activity of_blocked ON of_blocked.pid = blocked.pid
JOIN pg_catalog.pg_locks blocking ON blocking.locktype = blocked.locktype
    AND blocking.database IS NOT DISTINCT FROM blocked.database
    AND blocking.relation IS NOT DISTINCT FROM blocked.relation
    AND blocking.virtualxid IS NOT DISTINCT FROM blocked.virtualxid
    AND blocking.pid != blocked.pid
JOIN pg_catalog.pg_stat_activity of_blocking ON of_blocking.pid = blocking.pid
WHERE NOT blocked.granted

SELECT a.datname, l.relation::regclass, l.mode, l.granted, a.usename, age(now(), a.query_start) AS "age"
FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid ORDER BY a.query_start

SELECT mode, count(*) FROM pg_locks WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database()) GROUP BY mode

SELECT ssl, version, cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()

SELECT client_addr, state, sent_lsn, replay_lsn, replay_lag FROM pg_stat_replication

SELECT slot_name, active, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) AS lag FROM pg_replication_slots

SELECT p.pid, p.phase, p.heap_blks_total, a.query FROM pg_stat_progress_vacuum p LEFT JOIN pg_stat_activity a USING (pid)

SELECT p.datname, p.command, p.blocks_done::float / nullif(p.blocks_total, 0) FROM pg_stat_progress_create_index p

SELECT max(age(backend_xmin)) FROM pg_catalog.pg_stat_activity

SELECT subname, pid, received_lsn FROM pg_stat_subscription

SELECT status, receive_start_lsn FROM pg_stat_wal_receiver

SELECT name, statement, parameter_types FROM pg_prepared_statements WHERE NOT from_sql

WITH busy AS (SELECT * FROM pg_stat_activity WHERE state = 'active'), l AS (SELECT * FROM pg_locks)
SELECT busy.pid, count(l.pid) FROM busy LEFT JOIN l USING (pid) GROUP BY 1

SELECT u.email, (SELECT max(xact_start) FROM pg_stat_activity) FROM users u
