//! Every key of PgBouncer 1.25, and of its successor so far: where it goes, or why not.

/// A key of `pgbouncer.ini`.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its section: `pgbouncer`, `databases`, `users` or `peers`.
    pub section: &'static str,
    /// Its name.
    pub name: &'static str,
    /// The key of `pgtenant.toml` that it becomes; empty if there is none.
    pub counterpart: &'static str,
    /// What differs, or what to use instead.
    pub note: &'static str,
}

const fn key(
    section: &'static str,
    name: &'static str,
    counterpart: &'static str,
    note: &'static str,
) -> Key {
    Key {
        section,
        name,
        counterpart,
        note,
    }
}

const fn main(name: &'static str, counterpart: &'static str, note: &'static str) -> Key {
    key("pgbouncer", name, counterpart, note)
}

const fn db(name: &'static str, counterpart: &'static str, note: &'static str) -> Key {
    key("databases", name, counterpart, note)
}

const fn user(name: &'static str, counterpart: &'static str, note: &'static str) -> Key {
    key("users", name, counterpart, note)
}

const LOG: &str = "The log goes to standard error, for systemd's journal or the container's log.";
const AUDIT: &str = "Logins, their ends and refusals are records of the audit log ([audit]).";
const DNS: &str = "Names are resolved anew for each connection to a server.";
const CIPHERS: &str = "TLS 1.2 and 1.3 with the suites of rustls; there is nothing to choose.";
const LDAP: &str = "Use tokens of an identity provider ([jwt.NAME]), certificates or passwords.";
const RESERVE: &str =
    "There is no reserve: pool.size_per_tenant keeps a quarter of a shared database for others.";
const PROFILE: &str =
    "Give the login a profile: [profiles.NAME] with pool_size, which holds for each login.";
const PROFILE_CLIENTS: &str =
    "Give the logins a profile: [profiles.NAME] with max_clients, which holds for each login.";
const PER_DATABASE: &str =
    "It is not offered for one database, but for those of an isolation ([isolation.NAME.pool]).";
const IN_DATABASE: &str = "Set it in PostgreSQL: ALTER DATABASE … SET, or ALTER ROLE … SET.";
const HOSTS: &str = "servers.NAME.target says which of several hosts is meant.";
const AUTH_QUERY: &str = "[directory.sql] reads logins and their tenants from a table of yours, \
                          and notices changes.";
const BY_PASSWORD: &str = "pgtenant proves itself to a server by a password alone.";
const PEERS: &str = "One process uses all cores (listen.workers) and needs no peers. Several \
                     replicas pass requests to cancel on to each other: `[[peers]]`, with \
                     listen.peer_id, peer_address and peer_key_file.";
const SYSTEM: &str = "It is left to the operating system.";
const KEEPALIVE: &str = "servers.NAME.tcp_user_timeout and pool.check_after find lost connections.";
const BUFFERS: &str = "Buffers are sized by themselves.";
const RESET: &str = "A connection is cleaned with DISCARD ALL before another tenant gets it, and \
                     the answer is awaited (pool.share).";
const SHORTEST: &str = "Of the login's, its tenant's and that of [listen] the shortest holds.";
const COUNTERS: &str =
    "Nothing has to be freed: databases without clients and connections cost nothing.";
const USER_WAIT: &str = "pool.wait_timeout holds for all users.";

/// All of them, as PgBouncer's manual orders them.
pub const KEYS: &[Key] = &[
    main("logfile", "", LOG),
    main(
        "pidfile",
        "",
        "systemd, or a container, watches the process: `pgtenant status`.",
    ),
    main(
        "listen_addr",
        "listen.address",
        "With the port. `*` becomes 0.0.0.0 and [::].",
    ),
    main(
        "listen_port",
        "listen.address",
        "Each address has its port.",
    ),
    main(
        "unix_socket_dir",
        "listen.unix",
        "Written as a comment: the folder should be one that the proxy's user alone can write to.",
    ),
    main("unix_socket_mode", "listen.unix_mode", "As a comment, too."),
    main(
        "unix_socket_group",
        "",
        "The socket has the group of the process: `Group=` of the systemd unit.",
    ),
    main(
        "user",
        "",
        "`User=` of the systemd unit; pgtenant does not change its user.",
    ),
    main(
        "pool_mode",
        "pool.mode",
        "One mode for all. The default was \"session\" and is \"transaction\". Statement \
         pooling is not offered.",
    ),
    main(
        "max_client_conn",
        "listen.max_clients",
        "The default was 100 and is 10000.",
    ),
    main(
        "default_pool_size",
        "pool.size",
        "It was for each user of a database, and is for a database of a server.",
    ),
    main(
        "min_pool_size",
        "pool.min_idle",
        "For a database that has clients; a forced user alone is no reason.",
    ),
    main("reserve_pool_size", "", RESERVE),
    main("reserve_pool_timeout", "", RESERVE),
    main(
        "max_db_connections",
        "pool.size",
        "It comes before default_pool_size.",
    ),
    main(
        "max_db_client_connections",
        "listen.clients_per_tenant",
        "For each tenant.",
    ),
    main(
        "max_user_connections",
        "servers.NAME.max_connections",
        "A server is used by one role: the limit is that of the server.",
    ),
    main("max_user_client_connections", "", PROFILE_CLIENTS),
    main(
        "server_round_robin",
        "",
        "An idle connection of the same tenant comes first.",
    ),
    main(
        "track_extra_parameters",
        "",
        "All settings of a client follow it from connection to connection.",
    ),
    main(
        "ignore_startup_parameters",
        "",
        "Startup parameters are understood: a setting follows the client.",
    ),
    main("peer_id", "", PEERS),
    main(
        "disable_pqexec",
        "",
        "The simple protocol cannot be switched off. Each statement of a string is judged.",
    ),
    main(
        "application_name_add_host",
        "servers.NAME.application_name",
        "There is no address, but {app}, {tenant} and {login}.",
    ),
    main("conffile", "", "`pgtenant run --config FILE`."),
    main("service_name", "", "pgtenant is no Windows service."),
    main("job_name", "", "pgtenant is no Windows service."),
    main("stats_period", "", "Averages are of the last full minute."),
    main(
        "max_prepared_statements",
        "",
        "Prepared statements of the protocol always work.",
    ),
    main(
        "scram_iterations",
        "",
        "`pgtenant verifier` makes 4096, as PostgreSQL does.",
    ),
    main(
        "auth_type",
        "logins.methods",
        "\"scram\" or \"cert\". MD5, plain passwords and no password are not offered.",
    ),
    main(
        "auth_hba_file",
        "",
        "`allowed` of a tenant has the networks of its clients.",
    ),
    main(
        "auth_ident_file",
        "",
        "`certificate` of a login has the name in its certificate.",
    ),
    main("auth_file", "[[logins]]", "Each with its tenant."),
    main("auth_user", "directory.sql.user", AUTH_QUERY),
    main("auth_query", "directory.sql.logins", AUTH_QUERY),
    main("auth_dbname", "directory.sql.database", AUTH_QUERY),
    main("auth_ldap_options", "", LDAP),
    main("syslog", "", LOG),
    main("syslog_ident", "", LOG),
    main("syslog_facility", "", LOG),
    main("log_connections", "", AUDIT),
    main("log_disconnections", "", AUDIT),
    main("log_pooler_errors", "", AUDIT),
    main("log_stats", "", "/metrics of [admin], and SHOW STATS."),
    main(
        "verbose",
        "log.filter",
        "1 is \"debug\", 2 and more \"trace\".",
    ),
    main(
        "admin_users",
        "[[admins]]",
        "With role = \"operator\", and a password of their own.",
    ),
    main("stats_users", "[[admins]]", "With role = \"viewer\"."),
    main("server_reset_query", "", RESET),
    main("server_reset_query_always", "", RESET),
    main("server_check_delay", "pool.check_after", ""),
    main("server_check_query", "", "pgtenant has a check of its own."),
    main(
        "server_fast_close",
        "",
        "RECONNECT replaces a connection once nobody uses it, in session mode with the session.",
    ),
    main("server_lifetime", "pool.connection_lifetime", ""),
    main("server_idle_timeout", "pool.idle_timeout", ""),
    main("server_connect_timeout", "servers.NAME.connect_timeout", ""),
    main(
        "server_login_retry",
        "",
        "A server that is away is tried every second, and clients are told 57P03 meanwhile.",
    ),
    main("client_login_timeout", "listen.login_timeout", ""),
    main("autodb_idle_timeout", "", COUNTERS),
    main("pool_idle_timeout", "", COUNTERS),
    main("dns_max_ttl", "", DNS),
    main("dns_nxdomain_ttl", "", DNS),
    main("dns_zone_check_period", "", DNS),
    main("resolv_conf", "", "The operating system resolves names."),
    main(
        "query_wait_notify",
        "",
        "Clients that wait are told nothing; SHOW POOLS and /metrics tell of them.",
    ),
    main(
        "login_notify_message",
        "",
        "Clients are told what PostgreSQL tells them.",
    ),
    main(
        "client_tls_sslmode",
        "tls.mode",
        "\"require\" is the default; it was \"disable\".",
    ),
    main("client_tls_key_file", "tls.key", ""),
    main("client_tls_cert_file", "tls.certificate", ""),
    main(
        "client_tls_ca_file",
        "tls.client_ca",
        "Where clients must show a certificate.",
    ),
    main("client_tls_protocols", "", CIPHERS),
    main("client_tls_ciphers", "", CIPHERS),
    main("client_tls13_ciphers", "", CIPHERS),
    main("client_tls_ecdhcurve", "", CIPHERS),
    main("client_tls_dheparams", "", CIPHERS),
    main(
        "server_tls_sslmode",
        "servers.NAME.tls",
        "\"verify-full\" is the default. There is no \"prefer\": clear text or TLS.",
    ),
    main(
        "server_tls_ca_file",
        "servers.NAME.ca",
        "Where the certificate is verified.",
    ),
    main("server_tls_key_file", "", BY_PASSWORD),
    main("server_tls_cert_file", "", BY_PASSWORD),
    main("server_tls_protocols", "", CIPHERS),
    main("server_tls_ciphers", "", CIPHERS),
    main("server_tls13_ciphers", "", CIPHERS),
    main(
        "query_timeout",
        "listen.statement_timeout",
        "The statement is cancelled.",
    ),
    main(
        "query_wait_timeout",
        "pool.wait_timeout",
        "The default was 120 s and is 30 s.",
    ),
    main(
        "cancel_wait_timeout",
        "",
        "A cancel request is passed on at once.",
    ),
    main("client_idle_timeout", "listen.client_idle_timeout", ""),
    main(
        "idle_transaction_timeout",
        "listen.idle_in_transaction_timeout",
        "",
    ),
    main("transaction_timeout", "listen.transaction_timeout", ""),
    main(
        "suspend_timeout",
        "",
        "SUSPEND waits for transactions, as PAUSE does.",
    ),
    main("pkt_buf", "", BUFFERS),
    main(
        "max_packet_size",
        "listen.max_statement",
        "The longest query string; the default is 1 MiB.",
    ),
    main("listen_backlog", "", SYSTEM),
    main("sbuf_loopcnt", "", BUFFERS),
    main(
        "so_reuseport",
        "listen.workers",
        "One process uses all cores. For replacing it there is listen.reuse_port.",
    ),
    main("tcp_defer_accept", "", SYSTEM),
    main("tcp_socket_buffer", "", SYSTEM),
    main("tcp_keepalive", "", KEEPALIVE),
    main("tcp_keepcnt", "", KEEPALIVE),
    main("tcp_keepidle", "", KEEPALIVE),
    main("tcp_keepintvl", "", KEEPALIVE),
    main(
        "tcp_user_timeout",
        "servers.NAME.tcp_user_timeout",
        "To servers. 20 s by default.",
    ),
    db(
        "dbname",
        "tenants.database",
        "The entry's own name becomes its database_alias.",
    ),
    db(
        "host",
        "servers.NAME.host",
        "Or `hosts`, if there are several; or the folder of a Unix-domain socket.",
    ),
    db("port", "servers.NAME.port", ""),
    db(
        "user",
        "servers.NAME.user",
        "The role that the tenants of a server share.",
    ),
    db(
        "password",
        "servers.NAME.password_file",
        "In a file or the environment.",
    ),
    db("auth_user", "directory.sql.user", AUTH_QUERY),
    db("auth_query", "directory.sql.logins", AUTH_QUERY),
    db("auth_dbname", "directory.sql.database", AUTH_QUERY),
    db("pool_size", "tenants.pool_size", ""),
    db("min_pool_size", "", PER_DATABASE),
    db("reserve_pool_size", "", RESERVE),
    db("reserve_pool", "", RESERVE),
    db("connect_query", "", IN_DATABASE),
    db("pool_mode", "pool.mode", "If all databases have the same."),
    db("query_wait_timeout", "", PER_DATABASE),
    db("load_balance_hosts", "", HOSTS),
    db(
        "max_db_connections",
        "tenants.pool_size",
        "It comes before pool_size.",
    ),
    db("max_db_client_connections", "tenants.max_clients", ""),
    db("server_lifetime", "", PER_DATABASE),
    db(
        "client_encoding",
        "",
        "Clients speak UTF-8, whatever the database's encoding is.",
    ),
    db("datestyle", "", IN_DATABASE),
    db("timezone", "", IN_DATABASE),
    db(
        "application_name",
        "",
        "servers.NAME.application_name is a server's, for all tenants.",
    ),
    user("pool_size", "", PROFILE),
    user("reserve_pool_size", "", RESERVE),
    user("pool_mode", "", "pool.mode holds for all users."),
    user("max_user_connections", "", PROFILE),
    user("query_timeout", "logins.statement_timeout", SHORTEST),
    user("query_wait_timeout", "", USER_WAIT),
    user(
        "idle_transaction_timeout",
        "logins.idle_in_transaction_timeout",
        SHORTEST,
    ),
    user(
        "transaction_timeout",
        "logins.transaction_timeout",
        SHORTEST,
    ),
    user(
        "client_idle_timeout",
        "logins.client_idle_timeout",
        SHORTEST,
    ),
    user("max_user_client_connections", "", PROFILE_CLIENTS),
    key("peers", "host", "", PEERS),
    key("peers", "port", "", PEERS),
    key("peers", "pool_size", "", PEERS),
];

/// The key of this name in the section.
pub(super) fn find(section: &str, name: &str) -> Option<&'static Key> {
    let is_it = |key: &&Key| key.section == section && key.name == name;
    KEYS.iter().find(is_it)
}
