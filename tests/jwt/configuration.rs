//! `[jwt.NAME]`: what loads, and what is said about what does not.

use crate::issuer::{Signer, jwks, rsa};
use pgtenant::config::{Ask, KeySource, Problems, Settings, load_with};
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use tempfile::TempDir;

struct Folder(TempDir);

impl Folder {
    /// With everything that the examples name.
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let own = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
        folder.put("server.crt", &own.cert.pem());
        folder.put("server.key", &own.signing_key.serialize_pem());
        folder.put("server-ca.crt", &own.cert.pem());
        folder.put("issuer-ca.crt", &own.cert.pem());
        folder.put("role.key", &"k".repeat(32));
        folder.put("seal.key", &"k".repeat(32));
        folder.put("private.pem", &own.signing_key.serialize_pem());
        let signer = rsa();
        folder.put("issuer.jwks.json", &jwks(&[&signer]));
        folder.put("rsa.pem", &signer.pem());
        folder.put("ec.pem", &Signer::ec256("x").pem());
        folder.put("secret", &"s".repeat(32));
        folder
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn load(&self, text: &str) -> Result<Settings, Problems> {
        self.put("pgtenant.toml", text);
        let password = (OsString::from("WELLNESS_APP_PASSWORD"), OsString::from("x"));
        load_with(&self.0.path().join("pgtenant.toml"), [password])
    }

    /// The same with these sections behind a small configuration.
    fn with(&self, tls: &str, more: &str) -> Result<Settings, Problems> {
        let tenant = "11111111-1111-1111-1111-111111111111";
        self.load(&format!(
            "[tls]\nmode = \"{tls}\"\ncertificate = \"server.crt\"\nkey = \"server.key\"\n\
             [servers.main]\nhost = \"127.0.0.1\"\ntls = \"off\"\nuser = \"app\"\n\
             [isolation.all]\nkind = \"setting\"\nserver = \"main\"\ndatabase = \"db\"\n\
             setting = \"session.id\"\n\
             [[tenants]]\nid = \"{tenant}\"\n{more}"
        ))
    }

    /// What is said about a section `[jwt.a]` of these lines.
    #[track_caller]
    fn problems(&self, lines: &str) -> String {
        let text = format!("[jwt.a]\n{lines}\n");
        let problems = self.with("require", &text).unwrap_err().to_string();
        problems.replace(&format!("{}/", self.0.path().display()), "")
    }
}

/// RSA of 1024 bits.
const WEAK: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDbo2dx2pzXJRJAlDGjAz25834t
xb8ZmH8kYERaZT0NZsqRAtzeEzXiSGGfP443hAINyelAjIIiWrhi1OSDtDJulUQ5
dcoxHRqTbnJJQmFq/iueOD4k8brYbfkZJ3Yo5srr7v1IyFKgnXE0TqgWbimK/OG7
jYkcu0LVpf6+kBEhbQIDAQAB
-----END PUBLIC KEY-----
";

const LEAST: &str = "issuer = \"https://i.example\"\naudience = \"pg\"\n";

#[test]
fn the_least_has_defaults() {
    let folder = Folder::new();
    let text = format!("[jwt.a]\n{LEAST}jwks_url = \"http://127.0.0.1:80/\"");
    let settings = folder.with("require", &text).unwrap();
    let [issuer] = &settings.tokens.issuers[..] else {
        panic!("{:?}", settings.tokens);
    };
    assert_eq!(settings.tokens.ask, Ask::Password);
    assert_eq!(issuer.name, "a");
    assert!(!issuer.end_expired && !issuer.user_must_match);
    let algorithms: Vec<_> = issuer.rules.algorithms().collect();
    assert_eq!(format!("{algorithms:?}"), "[RS256]");
    let KeySource::Fetched(from) = &issuer.keys else {
        panic!("{issuer:?}");
    };
    assert!(from.tls.is_none());
    assert_eq!(
        (&from.host[..], from.port, &from.path[..]),
        ("127.0.0.1", 80, "/")
    );
}

#[test]
fn each_source_of_keys_loads() {
    let folder = Folder::new();
    for lines in [
        "jwks_file = \"issuer.jwks.json\"",
        "key_file = \"rsa.pem\"\nalgorithms = [\"RS256\", \"PS512\"]",
        "key_file = \"ec.pem\"\nalgorithms = \"ES256\"",
        "key_file = \"secret\"\nalgorithms = [\"HS256\"]",
        "jwks_url = \"https://issuer.example/keys\"\nca = \"issuer-ca.crt\"",
        "jwks_url = \"https://[2001:db8::1]:8443/\"\nca = \"issuer-ca.crt\"",
        "jwks_url = \"http://localhost/keys\"",
        "jwks_url = \"http://[::1]:8080/keys?a=b\"",
    ] {
        let text = format!("[jwt.a]\n{LEAST}{lines}");
        if let Err(problems) = folder.with("require", &text) {
            panic!("{lines}: {problems}");
        }
    }
}

#[test]
fn each_problem_says_what_is_right() {
    let folder = Folder::new();
    for (lines, problem) in [
        (
            "",
            "jwt.a: has no keys: it needs one of jwks_url, jwks_file, key_file",
        ),
        (
            "key_file = \"rsa.pem\"\njwks_file = \"issuer.jwks.json\"",
            "jwt.a: has jwks_file and key_file: keep one of them",
        ),
        (
            "key_file = \"none\"",
            "jwt.a.key_file = \"none\": cannot read none",
        ),
        (
            "key_file = \"secret\"",
            "secret has no public key: it must have a PEM section",
        ),
        (
            "key_file = \"private.pem\"",
            "has a private key, which only the issuer should have",
        ),
        (
            "key_file = \"server.crt\"",
            "make it a key with `openssl x509 -pubkey -noout`",
        ),
        (
            "key_file = \"ec.pem\"",
            "no key in the file fits the algorithm RS256",
        ),
        (
            "key_file = \"rsa.pem\"\nalgorithms = [\"RS256\", \"ES256\"]",
            "no key in the file fits the algorithm ES256",
        ),
        (
            "key_file = \"rsa.pem\"\nalgorithms = \"HS256\"",
            "rsa.pem has a key in PEM or JSON; \"HS256\" needs a shared secret",
        ),
        (
            "key_file = \"issuer.jwks.json\"\nalgorithms = \"HS256\"",
            "has a key in PEM or JSON",
        ),
        (
            "key_file = \"short\"\nalgorithms = \"HS256\"",
            "short has 5 bytes; a key needs at least 32",
        ),
        (
            "jwks_file = \"issuer.jwks.json\"\nalgorithms = \"HS256\"",
            "\"HS256\" has a shared secret, which must be in a key_file",
        ),
        (
            "jwks_url = \"http://localhost/\"\nalgorithms = \"HS256\"",
            "\"HS256\" has a shared secret, which must be in a key_file",
        ),
        (
            "key_file = \"secret\"\nalgorithms = [\"HS256\", \"RS256\"]",
            "\"HS256\" has a shared secret and cannot stand beside",
        ),
        (
            "key_file = \"rsa.pem\"\nalgorithms = [\"RS255\"]",
            "\"RS255\" is no algorithm that can be accepted; did you mean `RS256`?",
        ),
        (
            "key_file = \"rsa.pem\"\nalgorithms = [\"none\"]",
            "\"none\" is no algorithm",
        ),
        (
            "key_file = \"rsa.pem\"\nalgorithms = []",
            "must not be an empty list",
        ),
        ("jwks_file = \"rsa.pem\"", "rsa.pem is not a JWK set"),
        (
            "jwks_file = \"empty.json\"",
            "empty.json has no key that can be used",
        ),
        (
            "jwks_url = \"http://issuer.example/\"",
            "must begin with https://: whoever can change",
        ),
        (
            "jwks_url = \"http://127.0.0.1.evil.example/\"",
            "must begin with https://",
        ),
        (
            "jwks_url = \"ftp://issuer.example/\"",
            "must begin with https://",
        ),
        ("jwks_url = \"/keys\"", "must be an address, such as"),
        ("jwks_url = \"https://\"", "must be an address, such as"),
        (
            "jwks_url = \"https://u:p@issuer.example/\"",
            "must not have a user or password",
        ),
        (
            "jwks_url = \"http://localhost/\"\nca = \"issuer-ca.crt\"",
            "jwt.a.ca = \"issuer-ca.crt\": has no meaning",
        ),
        (
            "jwks_url = \"https://i.example/\"\nca = \"rsa.pem\"",
            "rsa.pem has no certificate",
        ),
        (
            "key_file = \"rsa.pem\"\nrefresh = \"1m\"",
            "jwt.a.refresh: has no meaning without jwks_url",
        ),
        (
            "jwks_url = \"http://localhost/\"\nrefresh = \"10ms\"",
            "must be a length of time",
        ),
        (
            "jwks_url = \"http://localhost/\"\nrefresh_floor = \"0s\"",
            "must be a length of time",
        ),
        (
            "key_file = \"rsa.pem\"\nleeway = \"1h\"",
            "jwt.a.leeway = \"1h\": must be a length of time",
        ),
        (
            "key_file = \"rsa.pem\"\ntenant_claim = \"a..b\"",
            "must be the name of a claim, or names",
        ),
        (
            "key_file = \"rsa.pem\"\nuser_claim = \".\"",
            "must be the name of a claim, or names",
        ),
        (
            "key_file = \"rsa.pem\"\nask = \"token\"",
            "must be one of \"password\", \"oauthbearer\"",
        ),
        (
            "key_file = \"rsa.pem\"\nend_expired = 1",
            "must be true or false",
        ),
        (
            "key_file = \"rsa.pem\"\nalgorithm = \"RS256\"",
            "unknown key; did you mean `algorithms`?",
        ),
    ] {
        folder.put("short", "short");
        folder.put("weak.pem", WEAK);
        folder.put("empty.json", "{\"keys\": []}");
        let said = folder.problems(&format!("{LEAST}{lines}"));
        assert_eq!(said.lines().count(), 1, "{lines}: {said}");
        assert!(said.contains(problem), "{lines}: {said}");
    }
    let said = folder.problems("key_file = \"rsa.pem\"");
    assert!(said.contains("jwt.a.issuer: is missing"), "{said}");
    assert!(said.contains("jwt.a.audience: is missing"), "{said}");
}

#[test]
fn a_secret_that_all_can_read_is_refused() {
    let folder = Folder::new();
    let path = folder.0.path().join("secret");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let said = folder.problems(&format!(
        "{LEAST}key_file = \"secret\"\nalgorithms = \"HS256\""
    ));
    assert!(said.contains("chmod 600"), "{said}");
}

#[test]
fn sections_are_looked_at_together() {
    let folder = Folder::new();
    let section =
        |name: &str, lines: &str| format!("[jwt.{name}]\n{LEAST}key_file = \"rsa.pem\"\n{lines}\n");
    let other = section("b", "").replace("i.example", "j.example");
    let problem = |tls, text: &str| folder.with(tls, text).unwrap_err().to_string();

    let said = problem("require", &(section("a", "") + &section("b", "")));
    assert!(said.contains("jwt.b.issuer"), "{said}");
    assert!(said.contains("is the issuer of jwt.a already"), "{said}");

    let said = problem("require", &(section("a", "ask = \"oauthbearer\"") + &other));
    assert!(
        said.contains("must be the same in all [jwt.NAME]"),
        "{said}"
    );
    let same = section("a", "ask = \"password\"") + &other;
    assert_eq!(
        folder.with("require", &same).unwrap().tokens.issuers.len(),
        2
    );

    let said = problem("off", &section("a", ""));
    assert!(
        said.contains("jwt.a: logging in with tokens needs TLS"),
        "{said}"
    );
    assert!(folder.with("allow", &section("a", "")).is_ok());
}

#[test]
fn a_login_cannot_ask_for_a_token_that_nobody_makes() {
    let folder = Folder::new();
    for method in ["jwt", "oauthbearer"] {
        let login = format!(
            "[[logins]]\nuser = \"a\"\ntenant = \"11111111-1111-1111-1111-111111111111\"\n\
             methods = [\"{method}\"]\n"
        );
        let said = folder.with("require", &login).unwrap_err().to_string();
        let expected = format!("logins[0].methods: \"{method}\" needs a section [jwt.NAME]");
        assert!(said.contains(&expected), "{said}");
        let with = format!("[jwt.a]\n{LEAST}key_file = \"rsa.pem\"\n{login}");
        assert!(folder.with("require", &with).is_ok());
    }
}

#[test]
fn the_example_loads() {
    let folder = Folder::new();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/jwt.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let settings = folder.load(&text).unwrap();
    assert_eq!(settings.tokens.issuers.len(), 2);
    assert_eq!(settings.tenants.len(), 2);
    assert_eq!(settings.directory.len(), 2);
}

#[test]
fn whatever_is_wrong_has_a_name() {
    let folder = Folder::new();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/jwt.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let values = [
        "\"\"",
        "\"x\"",
        "\"a.b\"",
        "\"https://\"",
        "\"http://localhost\"",
        "\"HS256\"",
        "\"5s\"",
        "\"rsa.pem\"",
        "\"secret\"",
        "0",
        "-1",
        "1.5",
        "true",
        "[]",
        "[\"x\", 1]",
        "[[\"x\"]]",
        "{}",
        "{ a = 1 }",
        "1979-05-27",
    ];
    let lines: Vec<_> = text.lines().collect();
    let mut tried = 0;
    for (n, line) in lines.iter().enumerate() {
        let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) else {
            continue;
        };
        let changed = values.map(|value| format!("{key} = {value}"));
        for other in changed.iter().map(String::as_str).chain([""]) {
            let mut lines = lines.clone();
            lines[n] = other;
            if let Err(problems) = folder.load(&lines.join("\n")) {
                assert!(!problems.is_empty(), "{other}");
                // Broken syntax has a line instead.
                let named = |p: &pgtenant::config::Problem| p.key.is_some() || p.position.is_some();
                assert!(problems.iter().all(named), "{other}: {problems}");
            }
            tried += 1;
        }
    }
    assert!(tried > 300, "{tried}");
}

#[test]
fn a_secret_is_never_shown() {
    let folder = Folder::new();
    let text = format!("[jwt.a]\n{LEAST}key_file = \"secret\"\nalgorithms = \"HS256\"");
    let settings = folder.with("require", &text).unwrap();
    let shown = format!("{settings:?} {settings:#?}");
    assert!(shown.contains("[Secret]") || shown.contains("Secret"));
    // As a text, or as bytes: fewer of them could be a certificate's.
    let bytes = ["115"; 8].join(", ");
    assert!(
        !shown.contains("ssss") && !shown.contains(&bytes),
        "{shown}"
    );
}
