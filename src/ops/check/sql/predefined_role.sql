SELECT 'role ' || r.rolname, 'it is a member of ' || o.rolname,
       format('REVOKE %I FROM %s;', o.rolname, r.ident)
FROM roles r
JOIN pg_roles o ON o.rolname IN (
    'pg_read_all_data', 'pg_write_all_data', 'pg_maintain', 'pg_monitor', 'pg_read_all_settings',
    'pg_read_all_stats', 'pg_stat_scan_tables', 'pg_signal_backend', 'pg_read_server_files',
    'pg_write_server_files', 'pg_execute_server_program', 'pg_checkpoint',
    'pg_create_subscription', 'pg_use_reserved_connections', 'pg_signal_autovacuum_worker')
WHERE pg_has_role(r.oid, o.oid, 'MEMBER')
