//! What was imported, at work before a real server.

use pgtenant::import;
use std::process::{Command, Output};
use testkit::{Proxy, Site, site, stderr, stdout, write_private};

/// The configuration of a PgBouncer before the site's server: a database for each of two
/// customers, under other names, and one role.
fn ini(site: &Site) -> String {
    let path = |name| site.file(name).display().to_string();
    let port = site.cluster.port();
    format!(
        "[databases]\n\
         initech = host=localhost port={port} dbname=wellness_initech user=wellness_app\n\
         umbrella = host=localhost port={port} dbname=wellness_umbrella user=wellness_app\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         pool_mode = transaction\n\
         auth_type = md5\n\
         admin_users = boss\n\
         query_timeout = 30\n\
         client_tls_sslmode = allow\n\
         client_tls_cert_file = {}\n\
         client_tls_key_file = {}\n\
         server_tls_sslmode = verify-full\n\
         server_tls_ca_file = {}\n",
        path("proxy.crt"),
        path("proxy.key"),
        path("ca.crt"),
    )
}

/// Clients, an administrator, and the role with which PgBouncer logged in to PostgreSQL.
fn users(site: &Site) -> String {
    format!(
        "\"initech_app\" \"initech-password\"\n\
         \"umbrella_app\" \"umbrella-password\"\n\
         \"boss\" \"boss-password\"\n\
         \"wellness_app\" \"{}\"\n",
        site.app_password
    )
}

fn psql(proxy: &Proxy, user: &str, database: &str, sql: &str) -> Output {
    let (name, _) = user.split_once('_').unwrap_or((user, ""));
    let port = proxy.port;
    Command::new(site().cluster.client_program("psql"))
        .args(["-X", "-A", "-t", "-c", sql])
        .arg(format!(
            "postgresql://{user}:{name}-password@127.0.0.1:{port}/{database}?sslmode=require"
        ))
        .output()
        .unwrap()
}

#[test]
fn clients_log_in_as_before_and_see_their_tenant_alone() {
    let site = site();
    let folder = tempfile::tempdir_in(site.cluster.directory()).unwrap();
    let file = folder.path().join("pgbouncer.ini");
    std::fs::write(&file, ini(site)).unwrap();
    let list = folder.path().join("userlist.txt");
    std::fs::write(&list, users(site)).unwrap();
    let imported = import::pgbouncer(&file, Some(&list)).unwrap();

    // What the text asks for: whose the logins are, and the password of the role.
    assert_eq!(imported.decisions, ["logins[0].tenant", "logins[1].tenant"]);
    let mut toml = imported.toml.replace("127.0.0.1:6432", "127.0.0.1:0");
    for tenant in ["initech", "umbrella"] {
        let decided = format!("tenant = \"{tenant}\"");
        toml = toml.replacen("# tenant = \"\"", &decided, 1);
    }
    let config = folder.path().join("pgtenant.toml");
    std::fs::write(&config, toml).unwrap();
    write_private(&folder.path().join("main.password"), &site.app_password);
    let proxy = Proxy::run(&config);

    let asked = "SELECT current_database(), current_setting('statement_timeout')";
    for tenant in ["initech", "umbrella"] {
        let output = psql(&proxy, &format!("{tenant}_app"), tenant, asked);
        let expected = format!("wellness_{tenant}|30s");
        assert_eq!(stdout(&output).trim(), expected, "{}", stderr(&output));
    }
    // PgBouncer let every user ask for every database.
    let other = psql(&proxy, "initech_app", "umbrella", asked);
    assert!(!other.status.success(), "{}", stdout(&other));
    let console = psql(&proxy, "boss", "pgbouncer", "SHOW DATABASES");
    assert!(stdout(&console).contains("initech"), "{}", stderr(&console));
}
