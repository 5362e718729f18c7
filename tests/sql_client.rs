//! Connections for queries of our own.

#![allow(clippy::unwrap_used)]

use pgtenant::ops::sql_client::{SqlClientError, Url};
use pgtenant::throwaway::{Authority, Cluster, ClusterOptions, TlsOptions};
use std::path::Path;
use std::process::Command;
use testkit::{stderr, stdout};
use tokio::runtime::Builder;

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work)
}

fn with_tls(authority: &Authority) -> Cluster {
    let options = ClusterOptions {
        tls: Some(TlsOptions {
            server: authority.server(&["localhost"]).unwrap(),
            client_ca_pem: None,
        }),
        ..ClusterOptions::default()
    };
    let cluster = Cluster::start(&options).unwrap();
    std::fs::write(
        cluster.directory().join("ca.crt"),
        authority.certificate_pem(),
    )
    .unwrap();
    cluster
}

fn url(cluster: &Cluster, host: &str, parameters: &str) -> Url {
    let (port, password) = (cluster.port(), cluster.superuser_password());
    let ca = cluster.directory().join("ca.crt");
    let parameters = parameters.replace("CA", ca.to_str().unwrap());
    Url::parse(&format!(
        "postgres://postgres:{password}@{host}:{port}/postgres?{parameters}"
    ))
    .unwrap()
}

/// Whether the session is encrypted, and its search path.
async fn state(url: &Url) -> Result<(bool, String), SqlClientError> {
    let database = url.connect().await?;
    let sql = "SELECT ssl, current_setting('search_path') FROM pg_stat_ssl \
               WHERE pid = pg_backend_pid()";
    let row = database.client.query_one(sql, &[]).await?;
    Ok((row.get(0), row.get(1)))
}

#[test]
fn a_url_connects_as_its_sslmode_says() {
    let authority = Authority::new("test CA").unwrap();
    let cluster = with_tls(&authority);
    let state = |host, parameters| run(state(&url(&cluster, host, parameters)));
    for (host, parameters, tls) in [
        ("127.0.0.1", "sslmode=disable", false),
        ("127.0.0.1", "", true),
        ("127.0.0.1", "sslmode=require", true),
        ("127.0.0.1", "sslmode=verify-ca&sslrootcert=CA", true),
        ("localhost", "sslmode=verify-full&sslrootcert=CA", true),
        ("localhost", "sslrootcert=CA", true),
    ] {
        assert_eq!(
            state(host, parameters).unwrap(),
            (tls, String::new()),
            "{parameters}"
        );
    }
    // The certificate is made for another name.
    let error = state("127.0.0.1", "sslmode=verify-full&sslrootcert=CA").unwrap_err();
    assert!(error.to_string().contains("TLS"), "{error}");
}

#[test]
fn clear_text_is_the_last_resort_on_this_machine() {
    let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
    assert!(!run(state(&url(&cluster, "127.0.0.1", ""))).unwrap().0);
    let error = run(state(&url(&cluster, "127.0.0.1", "sslmode=require"))).unwrap_err();
    assert!(error.to_string().contains("does not offer TLS"), "{error}");
}

#[test]
fn a_failed_login_names_database_and_role_and_no_password() {
    let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
    let port = cluster.port();
    let url = format!("postgres://stranger:hunter2@127.0.0.1:{port}/lab?sslmode=disable");
    let error = run(Url::parse(&url).unwrap().connect()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("\"lab\"") && text.contains("\"stranger\""),
        "{text}"
    );
    assert!(text.contains("28P01"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

/// What `check` says with this configuration.
fn checked(folder: &Path, text: &str) -> String {
    let config = folder.join("pgtenant.toml");
    std::fs::write(&config, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_pgtenant"))
        .args(["check", "--config"])
        .arg(config)
        .output()
        .unwrap();
    let said = stdout(&output) + &stderr(&output);
    assert!(!said.contains("hunter2"), "{said}");
    said
}

#[test]
fn what_cannot_be_reached_is_told_with_the_key_that_decides_it() {
    let authority = Authority::new("test CA").unwrap();
    let cluster = with_tls(&authority);
    let folder = tempfile::tempdir().unwrap();
    let stranger = Authority::new("other CA").unwrap();
    std::fs::write(folder.path().join("other.crt"), stranger.certificate_pem()).unwrap();
    std::fs::write(folder.path().join("role.key"), "0".repeat(32)).unwrap();
    let own = cluster.directory().join("ca.crt");
    let text = |ca: &Path, host: &str, more: &str| {
        format!(
            "[tls]\nmode = \"off\"\n[servers.main]\nhost = \"{host}\"\nport = {}\nca = {ca:?}\n\
             user = \"app\"\npassword = \"hunter2\"\n{more}",
            cluster.port(),
        )
    };
    let tenant = "[isolation.i]\nkind = \"schema\"\nserver = \"main\"\ndatabase = \"postgres\"\n\
                  search_path = [\"{schema}\"]\n[[tenants]]\nid = \"a\"\nschema = \"a\"\n";
    let own_role = tenant.replacen(
        "search_path",
        "role = \"{schema}_app\"\nrole_key_file = \"role.key\"\nsearch_path",
        1,
    );
    let directory = "[directory.sql]\nserver = \"main\"\ndatabase = \"postgres\"\n\
                     user = \"reader\"\npassword = \"hunter2\"\ntenants = \"SELECT 1\"\n";
    let directory = tenant.replacen("[[tenants]]\nid = \"a\"\nschema = \"a\"\n", directory, 1);
    let other = Path::new("other.crt");
    for (configuration, hint) in [
        (
            text(other, "localhost", tenant),
            "servers.main.ca must have",
        ),
        (
            text(other, "localhost", &directory),
            "servers.main.ca must have",
        ),
        (
            text(&own, "127.0.0.1", tenant),
            "servers.main.host must be a name in",
        ),
        (
            text(&own, "127.0.0.1", &directory),
            "servers.main.host must be a name in",
        ),
        (
            text(&own, "localhost", tenant),
            "servers.main.user must be a role",
        ),
        (
            text(&own, "localhost", &own_role),
            "`pgtenant provision` makes the tenant's role",
        ),
        (
            text(&own, "localhost", &directory),
            "directory.sql.user must be a role",
        ),
    ] {
        let said = checked(folder.path(), &configuration);
        assert!(said.contains(hint), "{hint}: {said}");
    }
}
