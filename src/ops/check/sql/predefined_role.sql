SELECT 'role ' || r.rolname, format('it is a member of %s', o.rolname) || m.through, m.fix
FROM roles r
JOIN pg_roles o ON o.rolname IN (
    'pg_read_all_data', 'pg_write_all_data', 'pg_maintain', 'pg_monitor', 'pg_read_all_settings',
    'pg_read_all_stats', 'pg_stat_scan_tables', 'pg_signal_backend', 'pg_read_server_files',
    'pg_write_server_files', 'pg_execute_server_program', 'pg_checkpoint',
    'pg_create_subscription', 'pg_use_reserved_connections', 'pg_signal_autovacuum_worker')
JOIN memberships m ON m.role = r.oid AND m.target = o.oid
