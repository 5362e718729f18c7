//! The proxy's own certificate: as PostgreSQL's manual makes it, channel binding by
//! it, and its end.

use super::openssl::{Authority, Issued};
use super::{ALICE, WHOSE, serves};
use std::path::Path;
use std::process::{Command, Output};
use testkit::{Options, Proxy, python, site};

/// The configuration of a proxy with this certificate.
fn options(shown: &Issued) -> (Options, impl Fn(String) -> String) {
    let (certificate, key) = (shown.certificate.clone(), shown.key.clone());
    let of_site = |name| format!("{:?}", site().file(name));
    let edit = move |text: String| {
        text.replace(&of_site("proxy.crt"), &format!("{certificate:?}"))
            .replace(&of_site("proxy.key"), &format!("{key:?}"))
    };
    let options = Options {
        tls: "require",
        ..Options::default()
    };
    (options, edit)
}

fn configuration(shown: &Issued) -> std::path::PathBuf {
    let (options, edit) = options(shown);
    site().write_new(".toml", &edit(testkit::configuration(site(), &options)))
}

fn dsn(proxy: &Proxy, ca: &Path, more: &str) -> String {
    format!(
        "host=localhost port={} user=innovate password={} dbname=wellness_corp_db \
         sslmode=verify-full sslrootcert={} sslcert=/nonexistent {more}",
        proxy.port,
        site().login_password,
        ca.display(),
    )
}

/// By the libpq of the system's psql.
fn psql(dsn: &str) -> Output {
    Command::new(site().cluster.client_program("psql"))
        .args(["-X", "-A", "-t", "-w", "-c", WHOSE, "-d", dsn])
        .output()
        .unwrap()
}

/// By the newer one that psycopg brings.
fn psycopg(dsn: &str) -> Output {
    let script = "import psycopg, sys\n\
        with psycopg.connect(sys.argv[1]) as conn:\n\
        \x20   print(conn.execute(sys.argv[2]).fetchone()[0])\n";
    Command::new(python("import psycopg"))
        .args(["-c", script, dsn, WHOSE])
        .output()
        .unwrap()
}

#[test]
fn clients_bind_their_login_to_every_certificate_that_libpq_takes() {
    let authority = Authority::root("root");
    let pss = |file, hash| {
        let options = [
            "-newkey",
            "rsa:2048",
            hash,
            "-sigopt",
            "rsa_padding_mode:pss",
            "-sigopt",
            "rsa_pss_saltlen:-1",
        ];
        authority.self_signed_with(file, "localhost", &options)
    };
    let ec = |file, hash| {
        let options = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", hash];
        authority.self_signed_with(file, "localhost", &options)
    };
    let own = |shown: Issued| (shown.certificate.clone(), shown);
    let v1 = authority.issue_version_1("v1", "localhost", "365");
    let cases = [
        own(authority.self_signed_with("self", "localhost", &["-newkey", "rsa:2048"])),
        own(pss("pss256", "-sha256")),
        own(pss("pss512", "-sha512")),
        own(ec("ec224", "-sha224")),
        own(ec("ec512", "-sha512")),
        (authority.certificate(), v1),
    ];
    for (ca, shown) in &cases {
        let proxy = Proxy::run(&configuration(shown));
        for version in ["TLSv1.2", "TLSv1.3"] {
            let more = format!("channel_binding=require ssl_max_protocol_version={version}");
            let dsn = dsn(&proxy, ca, &more);
            serves(&psql(&dsn), ALICE);
            serves(&psycopg(&dsn), ALICE);
        }
    }
    // Its signature names no hash function: there is nothing to bind to.
    let none = authority.self_signed_with("ed", "localhost", &["-newkey", "ed25519"]);
    let proxy = Proxy::run(&configuration(&none));
    serves(&psql(&dsn(&proxy, &none.certificate, "")), ALICE);
    let output = psql(&dsn(&proxy, &none.certificate, "channel_binding=require"));
    assert!(!output.status.success(), "{output:?}");
}

#[test]
fn a_key_of_another_certificate_is_refused_for_version_1_too() {
    let authority = Authority::root("root");
    let v1 = authority.issue_version_1("v1", "localhost", "365");
    let other = authority.issue_version_1("other", "localhost", "365");
    let mixed = Issued {
        key: other.key,
        ..v1
    };
    let problems = pgtenant::config::load(&configuration(&mixed)).unwrap_err();
    let problems = problems.to_string();
    assert!(
        problems.contains("is not the private key of the certificate in tls.certificate"),
        "{problems}"
    );
}

#[test]
fn the_end_of_the_certificate_is_told_of_in_time() {
    let authority = Authority::root("root");
    let later = authority.issue_version_1("later", "localhost", "365");
    let soon = authority.issue_version_1("soon", "localhost", "29");
    let past = authority.issue_version_1("past", "localhost", "-1");
    let file = configuration(&later);
    let check = |file: &Path| {
        let output = Command::new(testkit::program())
            .args(["check", "--config", file.to_str().unwrap(), "--json"])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let proxy = Proxy::run(&file);
    proxy.reload(|text| text);
    assert!(!proxy.log().contains("pgtenant::tls"), "{}", proxy.log());
    assert!(!check(&file).contains("PGT010"));
    let path = |issued: &Issued| format!("{:?}", issued.certificate);
    let key = |issued: &Issued| format!("{:?}", issued.key);
    proxy.reload(|text| {
        text.replace(&path(&later), &path(&soon))
            .replace(&key(&later), &key(&soon))
    });
    let line = proxy.wait_for_log("expires soon");
    assert!(
        line.contains("soon.crt") && line.contains("CN=localhost"),
        "{line}"
    );
    assert!(check(&file).contains("PGT010"));

    let file = configuration(&past);
    let proxy = Proxy::run(&file);
    let line = proxy.wait_for_log("has expired");
    assert!(line.contains("past.crt"), "{line}");
    assert!(check(&file).contains("PGT010"));
}

#[test]
fn the_end_of_an_authority_is_told_of_as_well() {
    let authority = Authority::root("root");
    let own = authority.issue_version_1("own", "localhost", "365");
    let soon = authority.issue_version_1("soon", "localhost", "29");
    let file = configuration(&own);
    let text = std::fs::read_to_string(&file).unwrap();
    let ca = &soon.certificate;
    let other = format!("\n[servers.other]\nhost = \"localhost\"\nuser = \"app\"\nca = {ca:?}\n");
    std::fs::write(&file, text + &other).unwrap();
    let proxy = Proxy::run(&file);
    let line = proxy.wait_for_log("expires soon");
    assert!(line.contains("servers.other.ca"), "{line}");
    assert!(line.contains("soon.crt"), "{line}");
}
