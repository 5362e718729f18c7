SET DateStyle=ISO; SET client_min_messages=notice; SELECT set_config('bytea_output','hex',false) FROM pg_show_all_settings() WHERE name = 'bytea_output'; SET client_encoding='utf-8';

SELECT version()

SELECT d.oid AS did, d.datname, d.datallowconn, pg_encoding_to_char(d.encoding) AS serverencoding,
    has_database_privilege(d.oid, 'CREATE') AS cancreate, datistemplate
FROM pg_catalog.pg_database d WHERE d.datname = current_database()

SELECT gss_authenticated, encrypted FROM pg_catalog.pg_stat_gssapi WHERE pid = pg_backend_pid()

SELECT r.oid AS id, r.rolname AS name, r.rolsuper AS is_superuser,
    CASE WHEN r.rolsuper THEN true ELSE r.rolcreaterole END AS can_create_role,
    CASE WHEN 'pg_signal_backend' = ANY (ARRAY(
        WITH RECURSIVE above AS (
            SELECT m.roleid AS oid FROM pg_catalog.pg_auth_members m
            WHERE m.member = r.oid
            UNION SELECT m.roleid FROM pg_catalog.pg_auth_members m JOIN above ON above.oid = m.member)
        SELECT pg_catalog.pg_get_userbyid(oid) FROM above)) THEN true ELSE false END AS can_signal_backend
FROM pg_catalog.pg_roles AS r WHERE rolname = current_user

SELECT CASE WHEN usesuper THEN pg_catalog.pg_is_in_recovery() ELSE false END AS inrecovery,
    CASE WHEN usesuper AND pg_catalog.pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END AS isreplaypaused
FROM pg_catalog.pg_user WHERE usename = current_user

SELECT CASE
    WHEN (SELECT count(extname) FROM pg_catalog.pg_extension WHERE extname = 'bdr') > 0 THEN 'pgd'
    WHEN (SELECT COUNT(*) FROM pg_replication_slots) > 0 THEN 'log'
    ELSE NULL
END AS type;

/* of a dashboard */
SELECT 'sessions' AS chart_name, pg_catalog.row_to_json(t) AS chart_data
FROM (SELECT
    (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE datname = (SELECT datname FROM pg_catalog.pg_database WHERE oid = 5)) AS "Total",
    (SELECT count(*) FROM pg_stat_activity WHERE state = 'active') AS "Active",
    (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE state = 'idle') AS "Idle"
) t
UNION ALL
SELECT 'transactions' AS chart_name, pg_catalog.row_to_json(t) AS chart_data
FROM (SELECT (SELECT sum(xact_commit) + sum(xact_rollback) FROM pg_catalog.pg_stat_database) AS "Transactions") t

SELECT pid, datname, usename, application_name, client_addr,
    pg_catalog.to_char(backend_start, 'YYYY-MM-DD HH24:MI:SS TZ') AS backend_start, state,
    wait_event_type || ': ' || wait_event AS wait_event,
    pg_catalog.array_to_string(pg_catalog.pg_blocking_pids(pid), ', ') AS blocking_pids, query,
    CASE WHEN state = 'active' THEN round((extract(epoch FROM now() - query_start) / 60)::numeric, 2) ELSE 0 END AS minutes
FROM pg_catalog.pg_stat_activity
WHERE datname = (SELECT datname FROM pg_catalog.pg_database WHERE datname = current_database())
ORDER BY pid

SELECT pid, locktype, datname, relation::pg_catalog.regclass, page, tuple, virtualxid, transactionid,
    classid::pg_catalog.regclass, objid, objsubid, virtualtransaction, mode, granted, fastpath
FROM pg_catalog.pg_locks l LEFT OUTER JOIN pg_catalog.pg_database d ON (l.database = d.oid)
ORDER BY pid, locktype

SELECT gid, database, owner, transaction, pg_catalog.to_char(prepared, 'YYYY-MM-DD') AS prepared
FROM pg_catalog.pg_prepared_xacts ORDER BY gid, database, owner

SELECT * FROM pg_stat_replication

SELECT * FROM pg_replication_slots

SELECT name, category, setting, unit, short_desc FROM pg_catalog.pg_settings ORDER BY category

BEGIN; DECLARE "CURSOR:1" CURSOR FOR SELECT pid FROM pg_catalog.pg_stat_activity; FETCH 10 FROM "CURSOR:1"; ROLLBACK
