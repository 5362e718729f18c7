//! Logging in with client certificates: authorities made by openssl, and psql,
//! psycopg and a client of our own that show certificates of all kinds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod manual;
mod openssl;
mod own;
mod profiles;

use openssl::{ALWAYS, Authority, Issued, Wish, joined};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use testkit::{INNOVATE, Options, Proxy, SYNERGY, python, site, wait_until};

const ALICE: &str = "alice@innovate.example";
const BOB: &str = "bob@synergy.example";
const WHOSE: &str = "SELECT string_agg(DISTINCT email, ',') FROM users";

/// The authority that the proxies trust.
static CA: LazyLock<Authority> = LazyLock::new(|| Authority::root("clients of pgtenant"));

fn client(name: &str) -> Issued {
    CA.issue(&Wish::client(name))
}

fn client_for(name: &str, names: &str) -> Issued {
    CA.issue(&Wish {
        names,
        ..Wish::client(name)
    })
}

/// Keys of [tls] for these authorities.
fn trusting(authorities: &Path) -> String {
    format!("client_ca = {authorities:?}\n")
}

/// Logins and entries that the tests use.
fn people() -> String {
    let verifier = &site().login_verifier;
    let login = |user: &str, tenant: &str, more: &str| {
        format!("[[logins]]\nuser = {user:?}\ntenant = {tenant:?}\n{more}\n")
    };
    let scram = format!("scram = {verifier:?}\n");
    [
        login("carol", INNOVATE, "methods = \"cert\""),
        login(
            "dave",
            SYNERGY,
            &format!("methods = \"cert+scram\"\ncertificate = \"URI:spiffe://example.com/dave\"\n{scram}"),
        ),
        login(
            "erin",
            INNOVATE,
            &format!("methods = [\"scram\", \"cert\"]\ncertificate = \"email:erin@example.com\"\n{scram}"),
        ),
        login("frank", SYNERGY, "certificate = \"DNS:frank.example.com\""),
        format!("[[certificates]]\nmatch = \"CN=ingest\"\ntenant = {INNOVATE:?}\n"),
        "[[certificates]]\nmatch = \"URI:spiffe://example.com/org/{tenant}/{login}\"\n".to_owned(),
        "[[certificates]]\nmatch = \"URI:spiffe://example.com/etl/{tenant}\"\n".to_owned(),
        format!("[[certificates]]\nmatch = \"DNS:{{login}}.synergy.example.com\"\ntenant = {SYNERGY:?}\n"),
        login("CN=taken", INNOVATE, &scram),
        format!("[[certificates]]\nmatch = \"CN=taken\"\ntenant = {INNOVATE:?}\n"),
        format!("[[certificates]]\nmatch = \"email:etl@synergy.example\"\ntenant = {SYNERGY:?}\n"),
    ]
    .concat()
}

fn proxy_with(tls_keys: String) -> Proxy {
    Proxy::start(&Options {
        tls: "require",
        tls_keys,
        more: people(),
        ..Options::default()
    })
}

fn proxy() -> Proxy {
    proxy_with(trusting(&CA.certificate()))
}

/// A connection string. Without a certificate it says so: libpq would look for
/// one in the home folder.
fn dsn(proxy: &Proxy, user: &str, password: Option<&str>, shown: Option<&Issued>) -> String {
    let mut dsn = format!(
        "host=127.0.0.1 port={} user={user} dbname=wellness_corp_db sslmode=verify-full \
         sslrootcert={} connect_timeout=10",
        proxy.port,
        site().ca_file().display()
    );
    match shown {
        Some(issued) => {
            let (certificate, key) = (issued.certificate.display(), issued.key.display());
            dsn += &format!(" sslcert={certificate} sslkey={key}");
        }
        None => dsn += " sslcert=/nonexistent/client.crt",
    }
    if let Some(password) = password {
        dsn += &format!(" password={password}");
    }
    dsn
}

fn psql(proxy: &Proxy, user: &str, password: Option<&str>, shown: Option<&Issued>) -> Output {
    Command::new(site().cluster.client_program("psql"))
        .args(["-X", "-A", "-t", "-w", "-c", WHOSE, "-d"])
        .arg(dsn(proxy, user, password, shown))
        .env_remove("PGPASSWORD")
        .output()
        .unwrap()
}

#[track_caller]
fn serves(output: &Output, email: &str) {
    let rows = String::from_utf8_lossy(&output.stdout);
    assert_eq!(rows.trim(), email, "{output:?}");
}

/// The reasons of all refusals so far.
fn reasons(proxy: &Proxy) -> Vec<String> {
    let log = proxy.log();
    let lines = log.lines().filter(|l| l.contains("login_refused"));
    lines.map(str::to_owned).collect()
}

/// Asserts that the client is refused, and that the log says why.
#[track_caller]
fn refused(proxy: &Proxy, user: &str, password: Option<&str>, shown: Option<&Issued>, why: &str) {
    let before = reasons(proxy).len();
    let output = psql(proxy, user, password, shown);
    assert!(!output.status.success(), "{why}: {output:?}");
    assert!(output.stdout.is_empty(), "{why}: {output:?}");
    wait_until("the refusal is logged", || reasons(proxy).len() > before);
    let said = reasons(proxy).split_off(before).join("\n");
    assert!(said.contains(why), "{why} was expected: {said}\n{output:?}");
    // Whatever comes after TLS says the same to everybody.
    let stderr = String::from_utf8_lossy(&output.stderr);
    if !said.contains("TLS: ") {
        let outward = format!("password authentication failed for user \"{user}\"");
        let no_password = "no password supplied";
        assert!(
            stderr.contains(&outward) || stderr.contains(no_password),
            "{why}: {stderr}"
        );
    }
}

#[test]
fn a_login_proves_itself_by_a_certificate_of_its_name() {
    let proxy = proxy();
    let password = Some(&*proxy.password);
    let carol = client("carol");
    serves(&psql(&proxy, "carol", None, Some(&carol)), ALICE);
    // A password that is not asked for does no harm.
    serves(&psql(&proxy, "carol", Some("wrong"), Some(&carol)), ALICE);

    let erin = client_for(
        "Erin Smith",
        "email:erin@example.com,DNS:unknown.example.com",
    );
    serves(&psql(&proxy, "erin", None, Some(&erin)), ALICE);
    let frank = client_for("frank", "DNS:frank.example.com");
    serves(&psql(&proxy, "frank", None, Some(&frank)), BOB);

    // The strongest that the client can do: without a fitting one the password.
    serves(&psql(&proxy, "erin", password, None), ALICE);
    serves(&psql(&proxy, "erin", password, Some(&carol)), ALICE);
    // Logins that know of no certificate go on as they did.
    serves(&psql(&proxy, "innovate", password, None), ALICE);
    serves(&psql(&proxy, "synergy", password, Some(&carol)), BOB);
    // Each is told of once its client is in.
    wait_until("the log tells of all logins", || {
        let log = proxy.log();
        let logins = log.lines().filter(|line| line.contains("event=\"login\""));
        let by = |method: &str| logins.clone().filter(|line| line.contains(method)).count();
        (by("method=\"cert\""), by("method=\"scram\"")) == (4, 4)
    });
}

#[test]
fn a_certificate_and_the_password_are_needed_both() {
    let proxy = proxy();
    let password = Some(&*proxy.password);
    let dave = client_for("dave", "URI:spiffe://example.com/dave");
    serves(&psql(&proxy, "dave", password, Some(&dave)), BOB);
    proxy.wait_for_log("event=\"login\" method=\"cert+scram\"");
    refused(&proxy, "dave", Some("wrong"), Some(&dave), "wrong password");
    refused(&proxy, "dave", password, None, "no client certificate");
    let carol = client("carol");
    let why = "the client certificate is for";
    refused(&proxy, "dave", password, Some(&carol), why);
    let named = client("dave");
    refused(&proxy, "dave", password, Some(&named), why);
}

#[test]
fn an_administrator_proves_itself_with_a_certificate_and_nobody_else_s() {
    let admin = "[[admins]]\nuser = \"root\"\nmethods = \"cert\"\n";
    let proxy = Proxy::start(&Options {
        tls: "require",
        tls_keys: trusting(&CA.certificate()),
        more: people() + admin,
        ..Options::default()
    });
    let show = |user: &str, shown: Option<&Issued>| {
        let dsn = dsn(&proxy, user, Some(&proxy.password), shown);
        Command::new(site().cluster.client_program("psql"))
            .args(["-X", "-A", "-t", "-w", "-c", "SHOW VERSION", "-d"])
            .arg(dsn.replace("wellness_corp_db", "pgtenant"))
            .output()
            .unwrap()
    };
    let (root, carol) = (client("root"), client("carol"));
    serves(&show("root", Some(&root)), "PgBouncer 1.23.1 (pgtenant)");
    for (user, shown) in [
        ("root", Some(&carol)),
        ("root", None),
        ("carol", Some(&root)),
    ] {
        let output = show(user, shown);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            error.contains("password authentication failed"),
            "{user}: {error}"
        );
    }
    // A tenant's certificate leads to no console.
    let output = show("carol", Some(&carol));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("does not exist"), "{error}");
}

#[test]
fn certificates_belong_to_tenants_by_table_and_by_rule() {
    let proxy = proxy();
    let ingest = client("ingest");
    serves(&psql(&proxy, "whoever", None, Some(&ingest)), ALICE);
    proxy.wait_for_log("login=CN=ingest");

    let uri = |tenant: &str, login: &str| format!("URI:spiffe://example.com/org/{tenant}/{login}");
    let app = client_for("x", &uri(SYNERGY, "app"));
    serves(&psql(&proxy, "app", None, Some(&app)), BOB);
    proxy.wait_for_log("login=app");
    // The login in the name is the one that may be asked for.
    let why = "the client certificate is for the login \"app\"";
    refused(&proxy, "other", Some("x"), Some(&app), why);
    // A UUID in another spelling is the same tenant.
    let spelled = INNOVATE.replace('-', "");
    let app = client_for("x", &uri(&spelled, "app"));
    serves(&psql(&proxy, "app", None, Some(&app)), ALICE);

    let etl = client_for("x", &format!("URI:spiffe://example.com/etl/{INNOVATE}"));
    serves(&psql(&proxy, "anything", None, Some(&etl)), ALICE);
    let dns = client_for("x", "DNS:loader.synergy.example.com");
    serves(&psql(&proxy, "loader", None, Some(&dns)), BOB);
    let email = client_for("x", "email:etl@synergy.example");
    serves(&psql(&proxy, "anything", None, Some(&email)), BOB);
}

#[test]
fn names_that_do_not_fit_are_refused() {
    let proxy = proxy();
    let why = "no entry of [[certificates]] fits";
    for (names, user) in [
        ("URI:spiffe://example.com/org/x", "x"),
        ("URI:spiffe://example.com/org/a/b/c", "c"),
        ("URI:spiffe://example.com.evil/org/a/b", "b"),
        ("URI:SPIFFE://example.com/org/a/b", "b"),
        ("DNS:spiffe://example.com/org/a/b", "b"),
        ("DNS:loader.synergy.example.com.", "loader"),
        ("DNS:LOADER.SYNERGY.EXAMPLE.COM", "LOADER"),
        ("DNS:etl@synergy.example", "x"),
        ("email:ETL@synergy.example", "x"),
    ] {
        let shown = client_for("x", names);
        refused(&proxy, user, Some("x"), Some(&shown), why);
    }
    for subject in [
        "/CN=Ingest",
        "/CN=ingest ",
        "/O=ingest",
        "/CN=ingest/CN=x",
        "/CN=x/CN=ingest",
    ] {
        let shown = CA.issue(&Wish {
            subject,
            ..Wish::client("spelled")
        });
        refused(&proxy, "x", Some("x"), Some(&shown), why);
    }
    // Its names are of two tenants.
    let both = client_for("ingest", "email:etl@synergy.example");
    let why = "for more than one tenant";
    refused(&proxy, "x", Some("x"), Some(&both), why);
    // A name that a login has, which asks for something else.
    let taken = client("taken");
    let why = "\"CN=taken\" has a login of its own";
    refused(&proxy, "x", Some("x"), Some(&taken), why);
    // A tenant that does not exist.
    let gone = "URI:spiffe://example.com/org/99999999-9999-9999-9999-999999999999/app";
    let gone = client_for("x", gone);
    let why = "tenant \"99999999-9999-9999-9999-999999999999\", which does not exist";
    refused(&proxy, "app", Some("x"), Some(&gone), why);
}

#[test]
fn a_certificate_of_one_login_does_not_open_another() {
    let proxy = proxy();
    let password = Some(&*proxy.password);
    let frank = client_for("frank", "DNS:frank.example.com");
    refused(
        &proxy,
        "carol",
        password,
        Some(&frank),
        "the login needs one for \"CN=carol\"",
    );
    // A name of another kind is another name.
    let kinds = client_for("x", "DNS:carol,URI:carol,email:carol");
    refused(
        &proxy,
        "carol",
        password,
        Some(&kinds),
        "the login needs one for",
    );
    refused(
        &proxy,
        "carol",
        password,
        None,
        "no client certificate, and the login needs one",
    );
    // One of the table or of a rule opens no login that is listed.
    let ingest = client("ingest");
    refused(
        &proxy,
        "innovate",
        Some("wrong"),
        Some(&ingest),
        "wrong password",
    );
    let uri = format!("URI:spiffe://example.com/org/{SYNERGY}/innovate");
    let posing = client_for("x", &uri);
    refused(
        &proxy,
        "innovate",
        Some("wrong"),
        Some(&posing),
        "wrong password",
    );
}

#[test]
fn certificates_that_are_not_valid_end_the_handshake() {
    let lists = ("20260101000000Z", "20390101000000Z");
    let revoked = client("carol-revoked");
    CA.revoke(&revoked);
    let list = CA.revocation_list("clients.crl", lists);
    let der = CA.file("clients.der.crl");
    let (from, to) = (list.to_str().unwrap(), der.to_str().unwrap());
    CA.openssl(&["crl", "-in", from, "-outform", "DER", "-out", to]);

    let good = client("carol");
    let same_name = Authority::root("clients of pgtenant");
    let other = Authority::root("others");
    let cases = [
        (same_name.issue(&Wish::client("carol")), "BadSignature"),
        (other.issue(&Wish::client("carol")), "UnknownIssuer"),
        (CA.self_signed("carol-self"), "UnknownIssuer"),
        (
            CA.issue(&Wish {
                subject: "/CN=carol",
                valid: ("20200101000000Z", "20210101000000Z"),
                ..Wish::client("carol-expired")
            }),
            "expired",
        ),
        (
            CA.issue(&Wish {
                subject: "/CN=carol",
                valid: ("20380101000000Z", "20400101000000Z"),
                ..Wish::client("carol-early")
            }),
            "not valid yet",
        ),
        (
            CA.issue(&Wish {
                subject: "/CN=carol",
                usage: "serverAuth",
                ..Wish::client("carol-server")
            }),
            "does not allow extended key usage for client authentication",
        ),
        (
            CA.issue(&Wish {
                subject: "/CN=carol",
                more: "basicConstraints = critical, CA:TRUE\n",
                ..Wish::client("carol-ca")
            }),
            "CaUsedAsEndEntity",
        ),
    ];
    let trust = trusting(&CA.certificate());
    let without = proxy_with(trust.clone());
    serves(&psql(&without, "carol", None, Some(&good)), ALICE);
    for (shown, why) in &cases {
        refused(&without, "carol", None, Some(shown), why);
        // Whose it was, by its own word.
        let told = without.log();
        let mut told = told
            .lines()
            .filter(|line| line.contains("client_certificate_refused"));
        let line = told.next_back().unwrap();
        assert!(
            line.contains("subject=\"CN=carol") && line.contains(why),
            "{line}"
        );
        // Not even where a password would do: a client that shows something
        // wrong is not let in.
        refused(&without, "erin", Some(&without.password), Some(shown), why);
    }
    for list in [&list, &der] {
        let with = proxy_with(format!("{trust}client_crl = [{list:?}]\n"));
        serves(&psql(&with, "carol", None, Some(&good)), ALICE);
        refused(&with, "carol", None, Some(&revoked), "Revoked");
    }
}

#[test]
fn where_there_are_revocation_lists_they_must_cover_everything_and_be_up_to_date() {
    let root = Authority::root("root");
    let below = root.intermediate("below");
    let carol = below.issue(&Wish::client("carol"));
    let chain = Issued {
        certificate: root.write(
            "chain.crt",
            &joined(&[&carol.certificate, &below.certificate()]),
        ),
        key: carol.key.clone(),
    };
    let lists = ("20260101000000Z", "20390101000000Z");
    let of_root = root.revocation_list("root.crl", lists);
    let of_below = below.revocation_list("below.crl", lists);
    let old = below.revocation_list("old.crl", ("20250101000000Z", "20250201000000Z"));
    let trust = trusting(&root.certificate());

    let proxy = proxy_with(trust.clone());
    serves(&psql(&proxy, "carol", None, Some(&chain)), ALICE);
    // The chain must be shown.
    refused(&proxy, "carol", None, Some(&carol), "UnknownIssuer");

    let proxy = proxy_with(format!("{trust}client_crl = [{of_root:?}, {of_below:?}]\n"));
    serves(&psql(&proxy, "carol", None, Some(&chain)), ALICE);
    let proxy = proxy_with(format!("{trust}client_crl = {of_root:?}\n"));
    refused(
        &proxy,
        "carol",
        None,
        Some(&chain),
        "UnknownRevocationStatus",
    );
    let proxy = proxy_with(format!("{trust}client_crl = [{of_root:?}, {old:?}]\n"));
    refused(
        &proxy,
        "carol",
        None,
        Some(&chain),
        "revocation list expired",
    );
    // Clients without a certificate are not touched by that.
    serves(
        &psql(&proxy, "innovate", Some(&proxy.password), None),
        ALICE,
    );
}

#[test]
fn a_reload_reads_the_lists_and_authorities_anew() {
    let authority = Authority::root("reloaded");
    let lists = ("20260101000000Z", "20390101000000Z");
    let list = authority.revocation_list("now.crl", lists);
    let carol = authority.issue(&Wish::client("carol"));
    let trust = trusting(&authority.certificate());
    let proxy = proxy_with(format!("{trust}client_crl = {list:?}\n"));
    serves(&psql(&proxy, "carol", None, Some(&carol)), ALICE);
    authority.revoke(&carol);
    authority.revocation_list("now.crl", lists);
    proxy.reload(|config| config);
    refused(&proxy, "carol", None, Some(&carol), "Revoked");
    let again = authority.issue(&Wish::client("carol"));
    serves(&psql(&proxy, "carol", None, Some(&again)), ALICE);
    // An entry that is gone lets nobody in.
    let ingest = authority.issue(&Wish::client("ingest"));
    serves(&psql(&proxy, "x", None, Some(&ingest)), ALICE);
    proxy.reload(|config| config.replace("CN=ingest", "CN=digest"));
    refused(
        &proxy,
        "x",
        Some("x"),
        Some(&ingest),
        "no entry of [[certificates]] fits",
    );
}

#[test]
fn a_session_ends_with_its_certificate_where_that_is_asked_for() {
    let trust = trusting(&CA.certificate());
    let keeps = proxy_with(trust.clone());
    let ends = proxy_with(format!("{trust}end_expired = true\n"));
    let soon = Command::new("date")
        .args(["-u", "-d", "+4 seconds", "+%Y%m%d%H%M%SZ"])
        .output()
        .unwrap();
    let soon = String::from_utf8(soon.stdout).unwrap();
    let carol = CA.issue(&Wish {
        valid: (ALWAYS.0, soon.trim()),
        ..Wish::client("carol")
    });
    // Both log in while it is valid; one is told to leave, the other goes on.
    let script = "import psycopg, sys, time\n\
        kept, ended = [psycopg.connect(dsn, autocommit=True) for dsn in sys.argv[1:]]\n\
        until = time.time() + 60\n\
        try:\n\
        \x20   while time.time() < until:\n\
        \x20       ended.execute('SELECT 1')\n\
        \x20       time.sleep(0.05)\n\
        except psycopg.OperationalError as error:\n\
        \x20   print(error.sqlstate)\n\
        print(kept.execute('SELECT email FROM users').fetchone()[0])\n";
    let output = Command::new(python("import psycopg"))
        .args(["-c", script])
        .arg(dsn(&keeps, "carol", None, Some(&carol)))
        .arg(dsn(&ends, "carol", None, Some(&carol)))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines, ["57P01", ALICE], "{output:?}");
    refused(&keeps, "carol", None, Some(&carol), "expired");
}

#[test]
fn a_certificate_that_fits_comes_before_a_token() {
    CA.openssl(&["ec", "-in", "ca.key", "-pubout", "-out", "issuer.pem"]);
    let login = |user: &str, more: &str| {
        format!("[[logins]]\nuser = {user:?}\ntenant = {INNOVATE:?}\n{more}\n")
    };
    let scram = format!("scram = {:?}\n", site().login_verifier);
    let either = format!("methods = [\"cert+scram\", \"oauthbearer\"]\n{scram}");
    let more = [
        people(),
        format!(
            "[jwt.people]\nissuer = \"i\"\naudience = \"a\"\nalgorithms = \"ES256\"\nkey_file = {:?}\n",
            CA.file("issuer.pem")
        ),
        login("grace", "methods = [\"cert\", \"jwt\"]"),
        login("heidi", &either),
    ];
    let proxy = Proxy::start(&Options {
        tls: "require",
        tls_keys: trusting(&CA.certificate()),
        more: more.concat(),
        ..Options::default()
    });
    let password = Some(&*proxy.password);
    let (grace, heidi, ingest) = (client("grace"), client("heidi"), client("ingest"));
    serves(&psql(&proxy, "grace", None, Some(&grace)), ALICE);
    serves(&psql(&proxy, "whoever", None, Some(&ingest)), ALICE);
    // Others are asked for a token, and a password is none.
    refused(&proxy, "grace", password, None, "not a signed JWT");
    refused(&proxy, "grace", password, Some(&heidi), "not a signed JWT");
    refused(&proxy, "whoever", password, None, "not a signed JWT");
    serves(&psql(&proxy, "heidi", password, Some(&heidi)), ALICE);
    // Without the certificate the password is not even offered.
    let output = psql(&proxy, "heidi", password, None);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("OAUTHBEARER") || stderr.contains("SASL"),
        "{stderr}"
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn names_with_a_nul_do_not_count_and_several_authorities_do() {
    // openssl does not put a NUL into a name.
    let other = pgtenant::throwaway::Authority::new("other").unwrap();
    let own = other.certificate_pem();
    let both = joined(&[&CA.certificate()]) + &own;
    let both = CA.write("both.crt", &both);
    let proxy = proxy_with(trusting(&both));
    serves(&psql(&proxy, "carol", None, Some(&client("carol"))), ALICE);
    let issue = |name: &str, file: &str| {
        let issued = other.client(name).unwrap();
        let shown = Issued {
            certificate: CA.write(&format!("{file}.crt"), &issued.certificate_pem),
            key: CA.write(&format!("{file}.key"), &issued.key_pem),
        };
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&shown.key, mode).unwrap();
        shown
    };
    serves(
        &psql(&proxy, "carol", None, Some(&issue("carol", "plain"))),
        ALICE,
    );
    for (n, name) in ["carol\0", "carol\0.evil.example", "\0carol", "carol\n"]
        .iter()
        .enumerate()
    {
        let shown = issue(name, &format!("nul{n}"));
        let why = "without a usable name";
        refused(&proxy, "carol", Some("x"), Some(&shown), why);
    }
}

#[test]
fn a_session_is_not_resumed_with_a_certificate_of_before() {
    // The clients here say nothing once TLS is there.
    let proxy = Proxy::start(&Options {
        tls: "require",
        tls_keys: trusting(&CA.certificate()),
        login_timeout: "1s",
        more: people(),
        ..Options::default()
    });
    let carol = client("carol");
    let connect = |version: &str, session: &[&str]| {
        let output = Command::new("openssl")
            .args(["s_client", "-starttls", "postgres", version, "-ign_eof"])
            .arg("-connect")
            .arg(format!("127.0.0.1:{}", proxy.port))
            .arg("-cert")
            .arg(&carol.certificate)
            .arg("-key")
            .arg(&carol.key)
            .args(session)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    for version in ["-tls1_2", "-tls1_3"] {
        let file = CA.file(&format!("session{version}"));
        let file = file.to_str().unwrap();
        let first = connect(version, &["-sess_out", file]);
        assert!(first.contains("New, TLSv1."), "{first}");
        let second = connect(version, &["-sess_in", file]);
        // Without a ticket openssl has no session to begin with.
        assert!(!second.contains("Reused, TLSv1."), "{second}");
    }
}

#[test]
fn psycopg_logs_in_with_a_certificate() {
    let proxy = proxy();
    let (carol, frank) = (
        client("carol"),
        client_for("frank", "DNS:frank.example.com"),
    );
    let script = "import psycopg, sys\n\
        for dsn in sys.argv[1:]:\n\
        \x20   try:\n\
        \x20       with psycopg.connect(dsn) as conn:\n\
        \x20           print(conn.execute('SELECT email FROM users').fetchone()[0])\n\
        \x20   except psycopg.OperationalError as error:\n\
        \x20       print('refused')\n";
    let output = Command::new(python("import psycopg"))
        .args(["-c", script])
        .arg(dsn(&proxy, "carol", None, Some(&carol)))
        .arg(dsn(&proxy, "frank", None, Some(&frank)))
        .arg(dsn(&proxy, "carol", None, Some(&frank)))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines, [ALICE, BOB, "refused"], "{output:?}");
}
