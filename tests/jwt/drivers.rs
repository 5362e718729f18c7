//! Clients as people use them: psql, and psycopg with PostgreSQL 18's libpq.

use crate::client::{keys_of, proxy};
use crate::issuer::{claims, rsa};
use std::process::{Command, Output};
use testkit::{INNOVATE, Proxy, SYNERGY, python, root, site};

fn url(proxy: &Proxy, user: &str) -> String {
    format!(
        "postgresql://{user}@127.0.0.1:{}/wellness_corp_db?sslmode=verify-full&sslrootcert={}",
        proxy.port,
        site().ca_file().display(),
    )
}

#[track_caller]
fn succeeds(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn psql_takes_a_token_as_password() {
    let signer = rsa();
    let proxy = proxy(&keys_of(&[&signer]), "");
    let psql = |token: &str| {
        Command::new(site().cluster.client_program("psql"))
            .args([
                "-XAt",
                "-d",
                &url(&proxy, "ann"),
                "-c",
                "SELECT email FROM users",
            ])
            .env("PGPASSWORD", token)
            .output()
            .unwrap()
    };
    let token = signer.token(&claims("ann", INNOVATE));
    assert_eq!(succeeds(&psql(&token)), "alice@innovate.example");
    let output = psql(&token.replace('.', ","));
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    let expected = "FATAL:  password authentication failed for user \"ann\"";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn psycopg_takes_a_token_as_password() {
    let signer = rsa();
    let proxy = proxy(&keys_of(&[&signer]), "");
    let program = "import sys, psycopg\n\
                   for password in sys.argv[2:]:\n\
                   \x20   with psycopg.connect(sys.argv[1], password=password) as connection:\n\
                   \x20       print(connection.execute('SELECT email FROM users').fetchone()[0])";
    let tokens = [INNOVATE, SYNERGY].map(|tenant| signer.token(&claims("ann", tenant)));
    let output = Command::new(python("import psycopg"))
        .args(["-c", program, &url(&proxy, "ann")])
        .args(tokens)
        .output()
        .unwrap();
    assert_eq!(
        succeeds(&output),
        "alice@innovate.example\nbob@synergy.example"
    );
}

/// libpq 18 as it is, with a hook that has a token: it asks for discovery first,
/// then comes again.
#[test]
fn libpq_speaks_oauthbearer() {
    let signer = rsa();
    let lines = format!(
        "ask = \"oauthbearer\"\nscope = \"openid org\"\n{}",
        keys_of(&[&signer])
    );
    let proxy = proxy(&lines, "");
    let good = signer.token(&claims("ann", INNOVATE));
    let bad = crate::issuer::attacker().token(&claims("ann", INNOVATE));
    let script = root().join("tests/jwt/oauth_client.py");
    let output = Command::new(python("import psycopg, psycopg_binary"))
        .arg(script)
        .args([&url(&proxy, "ann"), "https://issuer.example", &good, &bad])
        .output()
        .unwrap();
    succeeds(&output);
    proxy.wait_for_log("the client asks where tokens are to be had");
    proxy.wait_for_log("signature does not verify");
    proxy.wait_for_log("event=\"login\" method=\"oauthbearer\"");
}
