//! Connections for queries of our own.

#![allow(clippy::unwrap_used)]

use pgtenant::ops::sql_client::{SqlClientError, Url};
use pgtenant::throwaway::{Authority, Cluster, ClusterOptions, TlsOptions};
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
