//! Certificates as PostgreSQL's manual makes them, at the server and at clients.

use super::openssl::{Authority, Issued, Wish, joined};
use super::{ALICE, proxy_with, psql, refused, serves, trusting};
use pgtenant::throwaway::{CertifiedKey, Cluster, ClusterOptions, TlsOptions};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey as Shown, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use testkit::{Options, Programs, Proxy, Raw, site};

const PASSWORD: &str = "s3cret-0f-the-server";

/// A certificate of a server, whom it is verified against, and in which TLS.
struct Case {
    shown: Issued,
    ca: std::path::PathBuf,
    tls: &'static str,
}

/// What the manual makes, in the order of its section.
fn cases(authority: &Authority) -> Vec<Case> {
    let own = |shown: Issued| Case {
        ca: shown.certificate.clone(),
        shown,
        tls: "TLSv1.3",
    };
    let below = authority.intermediate("below");
    let leaf = below.issue_version_1("leaf", "localhost", "365");
    let chain = joined(&[&leaf.certificate, &below.certificate()]);
    let below = Issued {
        certificate: authority.write("chain.crt", &chain),
        key: authority.write("chain.key", &joined(&[&leaf.key])),
    };
    let by_authority = |shown: Issued, tls| Case {
        shown,
        ca: authority.certificate(),
        tls,
    };
    let pss = [
        "-newkey",
        "rsa:2048",
        "-sha384",
        "-sigopt",
        "rsa_padding_mode:pss",
        "-sigopt",
        "rsa_pss_saltlen:-1",
    ];
    vec![
        own(authority.self_signed_with("self", "localhost", &["-newkey", "rsa:2048"])),
        own(authority.self_signed_with("pss", "localhost", &pss)),
        by_authority(
            authority.issue_version_1("v1", "localhost", "365"),
            "TLSv1.2",
        ),
        by_authority(below, "TLSv1.3"),
    ]
}

fn start(case: &Case, programs: &Programs) -> Cluster {
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let server = CertifiedKey {
        certificate_pem: read(&case.shown.certificate),
        key_pem: read(&case.shown.key),
    };
    let cluster = Cluster::start(&ClusterOptions {
        bin_dir: Some(programs.folder.clone()),
        tls: Some(TlsOptions {
            server,
            client_ca_pem: None,
        }),
        settings: vec![("ssl_max_protocol_version".into(), case.tls.to_owned())],
        hba: Some(vec!["hostssl all all all scram-sha-256".to_owned()]),
        ..ClusterOptions::default()
    })
    .unwrap();
    let role = format!("CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'");
    cluster.psql("postgres", &role).unwrap();
    cluster
}

/// How a proxy reaches a server: under this name of a login, of the tenant and of
/// the server.
struct Way<'a> {
    name: &'a str,
    host: &'a str,
    port: u16,
    level: &'a str,
    ca: Option<&'a Path>,
}

/// A proxy with a login for each way.
fn proxy_by(ways: &[Way<'_>]) -> Proxy {
    let verifier = &site().login_verifier;
    let section = |way: &Way<'_>| {
        let Way {
            name,
            host,
            port,
            level,
            ca,
        } = way;
        let ca = ca.map_or_else(String::new, |ca| format!("ca = {ca:?}\n"));
        format!(
            "[servers.{name}]\nhost = {host:?}\nport = {port}\ntls = {level:?}\nuser = \"app\"\n\
             password = {PASSWORD:?}\n{ca}\
             [isolation.{name}]\nkind = \"setting\"\nserver = {name:?}\ndatabase = \"postgres\"\nsetting = \"app.tenant\"\n\
             [[tenants]]\nid = {name:?}\nisolation = {name:?}\n\
             [[logins]]\nuser = {name:?}\ntenant = {name:?}\nscram = {verifier:?}\n"
        )
    };
    Proxy::start(&Options {
        more: ways.iter().map(section).collect(),
        ..Options::default()
    })
}

/// Whether libpq takes the server's certificate.
fn libpq_connects(way: &Way<'_>) -> bool {
    let ca = way.ca.map_or("/nonexistent".into(), Path::to_path_buf);
    let dsn = format!(
        "host={} port={} dbname=postgres user=app sslmode={} sslrootcert={} channel_binding=require",
        way.host,
        way.port,
        way.level,
        ca.display()
    );
    let output = Command::new(site().cluster.client_program("psql"))
        .args(["-X", "-A", "-t", "-w", "-c", "SELECT 1", "-d", &dsn])
        .env("PGPASSWORD", PASSWORD)
        .output();
    output.unwrap().status.success()
}

fn servers_of(major: u32) {
    let Some(programs) = Programs::find(major) else {
        return;
    };
    let authority = Authority::root("root.yourdomain.com");
    let other = Authority::root("root.yourdomain.com");
    let (authorities, wrong) = (cases(&authority), other.certificate());
    for case in &authorities {
        let cluster = start(case, &programs);
        let way = |name, host, level, ca| Way {
            name,
            host,
            port: cluster.port(),
            level,
            ca,
        };
        let (ca, wrong) = (Some(&*case.ca), Some(&*wrong));
        let ways = [
            (way("encrypted", "localhost", "require", None), ""),
            (way("issued", "127.0.0.1", "verify-ca", ca), ""),
            (way("named", "localhost", "verify-full", ca), ""),
            (
                way("misnamed", "127.0.0.1", "verify-full", ca),
                "common name",
            ),
            (way("foreign", "localhost", "verify-ca", wrong), "TLS: "),
            (way("stranger", "localhost", "verify-full", wrong), "TLS: "),
        ];
        let (ways, reasons): (Vec<_>, Vec<_>) = ways.into_iter().unzip();
        let proxy = proxy_by(&ways);
        for (way, reason) in ways.iter().zip(reasons) {
            let about = format!("{major} {} {}", case.shown.certificate.display(), way.name);
            let takes = reason.is_empty();
            assert_eq!(libpq_connects(way), takes, "libpq: {about}");
            match Raw::log_in(proxy.port, &proxy.password, &[("user", way.name)]) {
                Ok(mut raw) => {
                    assert!(takes, "{about}");
                    let encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
                    assert_eq!(raw.value(encrypted), "t", "{about}");
                }
                Err(error) => {
                    assert!(!takes, "{about}: {error:?}\n{}", proxy.log());
                    let line = proxy.wait_for_log(&format!("server={}", way.name));
                    assert!(line.contains(reason), "{about}: {line}");
                }
            }
        }
    }
}

#[test]
fn servers_of_15_may_have_certificates_as_the_manual_makes_them() {
    servers_of(15);
}

#[test]
fn servers_of_18_may_have_certificates_as_the_manual_makes_them() {
    servers_of(18);
}

/// A server that shows somebody else's certificate. Returns its port; it says
/// nothing once TLS is there.
fn impostor(shown: &Issued, key: &Path, version: &'static rustls::SupportedProtocolVersion) -> u16 {
    let provider = default_provider();
    let chain = CertificateDer::pem_file_iter(&shown.certificate).unwrap();
    let chain: Vec<_> = chain.map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let key = provider.key_provider.load_private_key(key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(Shown::new(chain, key))));
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 8];
            if stream.read_exact(&mut request).is_err() || stream.write_all(b"S").is_err() {
                continue;
            }
            let mut tls = rustls::ServerConnection::new(config.clone()).unwrap();
            while tls.is_handshaking() && tls.complete_io(&mut stream).is_ok() {}
            let _ = tls.complete_io(&mut stream);
        }
    });
    port
}

#[test]
fn a_server_without_the_key_of_its_certificate_is_not_believed() {
    let authority = Authority::root("root");
    let shown = authority.issue_version_1("v1", "localhost", "365");
    let other = authority.issue_version_1("other", "localhost", "365");
    for version in [&TLS12, &TLS13] {
        let port = impostor(&shown, &other.key, version);
        let ca = authority.certificate();
        let ways = [
            ("encrypted", "require", None),
            ("named", "verify-full", Some(&*ca)),
        ];
        let ways = ways.map(|(name, level, ca)| Way {
            name,
            host: "localhost",
            port,
            level,
            ca,
        });
        let proxy = proxy_by(&ways);
        for way in &ways {
            let refused = Raw::log_in(proxy.port, &proxy.password, &[("user", way.name)]);
            assert!(refused.is_err(), "{version:?} {}", way.name);
            let line = proxy.wait_for_log(&format!("server={}", way.name));
            assert!(line.contains("BadSignature"), "{version:?}: {line}");
        }
    }
}

#[test]
fn clients_may_have_certificates_of_version_1_that_an_authority_has_issued() {
    let authority = Authority::root("root.yourdomain.com");
    let trust = trusting(&authority.certificate());
    let proxy = proxy_with(trust.clone());
    let carol = authority.issue_version_1("carol", "carol", "365");
    serves(&psql(&proxy, "carol", None, Some(&carol)), ALICE);
    refused(
        &proxy,
        "frank",
        None,
        Some(&carol),
        "the client certificate is for",
    );

    let below = authority.intermediate("below");
    let leaf = below.issue_version_1("leaf", "carol", "365");
    let chain = |leaf: &Issued, above: &Path, file: &str| Issued {
        certificate: authority.write(file, &joined(&[&leaf.certificate, above])),
        key: leaf.key.clone(),
    };
    let whole = chain(&leaf, &below.certificate(), "whole.crt");
    serves(&psql(&proxy, "carol", None, Some(&whole)), ALICE);
    refused(&proxy, "carol", None, Some(&leaf), "UnknownIssuer");

    // Who is no authority issues nothing, and neither does one of the same name.
    let client = authority.issue(&Wish::client("dave"));
    let by_client = authority.issue_version_1_by("by-client", "carol", "365", &client);
    let by_client = chain(&by_client, &client.certificate, "by-client.pem");
    refused(&proxy, "carol", None, Some(&by_client), "may not issue it");
    let by_v1 = authority.issue_version_1_by("by-v1", "carol", "365", &carol);
    let by_v1 = chain(&by_v1, &carol.certificate, "by-v1.pem");
    refused(&proxy, "carol", None, Some(&by_v1), "may not issue it");
    let same_name = Authority::root("root.yourdomain.com");
    let forged = same_name.issue_version_1("carol", "carol", "365");
    refused(&proxy, "carol", None, Some(&forged), "BadSignature");
    let forged = chain(&forged, &same_name.certificate(), "forged.pem");
    refused(&proxy, "carol", None, Some(&forged), "BadSignature");
    let expired = authority.issue_version_1("expired", "carol", "-1");
    refused(&proxy, "carol", None, Some(&expired), "Expired");
}

#[test]
fn client_certificates_that_cannot_be_judged_are_refused_with_the_reason() {
    let authority = Authority::root("root");
    let lists = ("20260101000000Z", "20390101000000Z");
    let list = authority.revocation_list("clients.crl", lists);
    let v1 = authority.issue_version_1("carol", "carol", "365");
    let own = authority.self_signed_with("own", "carol", &["-newkey", "rsa:2048"]);
    let both = joined(&[&authority.certificate(), &own.certificate]);
    let trust = trusting(&authority.write("both.crt", &both));
    let proxy = proxy_with(format!("{trust}client_crl = {list:?}\n"));
    refused(&proxy, "carol", None, Some(&v1), "tls.client_crl");
    refused(
        &proxy,
        "carol",
        None,
        Some(&own),
        "an authority's own certificate",
    );
}

#[test]
fn a_certificate_that_is_no_authoritys_is_not_taken_for_one() {
    let authority = Authority::root("root");
    let own = authority.self_signed("carol");
    let leaf = authority.issue_version_1("leaf", "carol", "365");
    for shown in [&own, &leaf] {
        let text = testkit::configuration(
            site(),
            &Options {
                tls_keys: trusting(&shown.certificate),
                ..Options::default()
            },
        );
        let file = site().write_new(".toml", &text);
        let problems = pgtenant::config::load(&file).unwrap_err().to_string();
        assert!(problems.contains("tls.client_ca"), "{problems}");
        assert!(problems.contains("not an authority's"), "{problems}");
    }
}
