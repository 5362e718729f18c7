//! The escape corpus against the running proxy: `tests/escapes` has the cases,
//! and the program that runs them and judges what came of each.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stderr)]

use pgtenant::directory::Verifier;
use pgtenant::tenant::TenantRole;
use pgtenant::throwaway::{Cluster, ClusterOptions, random_hex};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;
use testkit::{Programs, Proxy, clear_text, root, write_private};

/// How the proxy is set up, and how its clients behave.
#[derive(Debug, Clone, Copy)]
struct Variant {
    name: &'static str,
    /// `seal`; without it `harden` is not run.
    seal: Option<&'static str>,
    /// Whether each tenant of the setting kind has a role, which `provision` makes.
    role: bool,
    /// The only version of PostgreSQL that it is run on, unless it is asked for: CI's time
    /// is short.
    on: Option<u32>,
    /// `pool.size`: as few as there can be, so that one tenant meets what
    /// another has left.
    size: usize,
    /// `pool.mode`
    mode: &'static str,
    /// `pool.share`
    share: &'static str,
    /// `guard.opaque`
    opaque: &'static str,
    /// Whether the clients of both tenants stay connected and take turns.
    keep_open: bool,
    /// What is known to come out otherwise than it should.
    except: &'static [Exception],
}

/// A case, the verdict that it gets, and why that is right.
type Exception = (&'static str, &'static str, &'static str);

const RUNS_TEXT: Exception = (
    "dbx-runreport-leak",
    "BREACH",
    "a function that exists in the database and runs text: without a seal nobody sees it",
);
const SHADOWED: Exception = (
    "sp-res-shadow",
    "CTXLOST",
    "the client has made a temporary table of this name, and keeps its connection",
);
const ALTERS_ITSELF: Exception = (
    "role-alter-do",
    "BREACH",
    "PostgreSQL lets every role change its own stored settings: see SECURITY.md",
);

const PLAIN: Variant = Variant {
    name: "plain",
    seal: None,
    role: false,
    on: None,
    size: 1,
    mode: "transaction",
    share: "scrubbed",
    opaque: "reject",
    keep_open: false,
    except: &[RUNS_TEXT],
};

const CARRIER: Variant = Variant {
    name: "carrier",
    seal: Some("carrier"),
    except: &[],
    ..PLAIN
};

const TOKEN: Variant = Variant {
    name: "token",
    seal: Some("token"),
    except: &[],
    ..PLAIN
};

const ROLE: Variant = Variant {
    name: "role",
    role: true,
    ..PLAIN
};

const VARIANTS: &[Variant] = &[
    PLAIN,
    Variant {
        name: "plain, both stay",
        keep_open: true,
        ..PLAIN
    },
    Variant {
        name: "plain, share = tenant",
        share: "tenant",
        keep_open: true,
        ..PLAIN
    },
    Variant {
        name: "plain, mode = session",
        mode: "session",
        size: 3,
        keep_open: true,
        except: &[RUNS_TEXT, SHADOWED],
        ..PLAIN
    },
    Variant {
        name: "role, both stay",
        on: Some(15),
        keep_open: true,
        ..ROLE
    },
    Variant {
        name: "role, carrier, opaque = allow, both stay",
        on: Some(18),
        seal: Some("carrier"),
        opaque: "allow",
        keep_open: true,
        except: &[],
        ..ROLE
    },
    CARRIER,
    Variant {
        name: "carrier, both stay",
        keep_open: true,
        ..CARRIER
    },
    Variant {
        name: "carrier, share = tenant",
        share: "tenant",
        size: 2,
        keep_open: true,
        except: &[SHADOWED],
        ..CARRIER
    },
    TOKEN,
    Variant {
        name: "token, both stay",
        size: 2,
        keep_open: true,
        except: &[SHADOWED],
        ..TOKEN
    },
    Variant {
        name: "carrier, opaque = allow",
        opaque: "allow",
        except: &[ALTERS_ITSELF],
        ..CARRIER
    },
    Variant {
        name: "carrier, opaque = allow, both stay",
        opaque: "allow",
        keep_open: true,
        except: &[ALTERS_ITSELF],
        ..CARRIER
    },
    Variant {
        name: "token, opaque = allow",
        opaque: "allow",
        except: &[ALTERS_ITSELF],
        ..TOKEN
    },
];

#[test]
fn postgresql_15() {
    run_all(15);
}

#[test]
fn postgresql_18() {
    run_all(18);
}

/// Runs every variant, several at a time: most of their time is waiting.
fn run_all(major: u32) {
    let Some(programs) = Programs::find(major) else {
        return;
    };
    let only = std::env::var("ESCAPES_VARIANT").ok();
    let mut chosen: Vec<_> = VARIANTS.iter().rev().collect();
    chosen.retain(|v| match &only {
        Some(only) => v.name == only,
        None => v.on.is_none_or(|on| on == major),
    });
    assert!(!chosen.is_empty(), "no variant is named {only:?}");
    let queue = Mutex::new(chosen);
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(variant) = queue.lock().unwrap().pop() else {
                        break;
                    };
                    let findings = Lab::start(&programs.folder, variant).run();
                    let told = findings
                        .into_iter()
                        .map(|f| format!("{}: {f}", variant.name));
                    wrong.lock().unwrap().extend(told);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(
        wrong.is_empty(),
        "on PostgreSQL {major}:\n{}",
        wrong.join("\n")
    );
}

/// Variants that run at the same time.
const AT_ONCE: usize = 4;

const ORG_A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const ORG_B: &str = "bbbbbbbb-0000-4000-8000-000000000002";
const LOGIN_PASSWORD: &str = "pw";

/// Login, tenant, and what its isolation wants to know.
const TENANTS: [(&str, &str, &str); 4] = [
    ("row_a", ORG_A, "isolation = \"row\""),
    ("row_b", ORG_B, "isolation = \"row\""),
    (
        "schema_a",
        "a",
        "isolation = \"schema\"\nschema = \"tenant_a\"",
    ),
    (
        "schema_b",
        "b",
        "isolation = \"schema\"\nschema = \"tenant_b\"",
    ),
];

/// A server with the corpus' databases, and a proxy in front of it.
struct Lab<'a> {
    variant: &'a Variant,
    cluster: Cluster,
    proxy: Proxy,
}

impl<'a> Lab<'a> {
    fn start(programs: &Path, variant: &'a Variant) -> Self {
        let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let cluster = Cluster::start(&ClusterOptions {
            bin_dir: Some(programs.to_owned()),
            settings: vec![
                setting("shared_preload_libraries", "pg_stat_statements"),
                setting("max_prepared_transactions", "10"),
            ],
            ..ClusterOptions::default()
        })
        .unwrap();
        let url = cluster.superuser_url("postgres");
        succeeds(corpus_runner().args(["--super", &url, "--seed", "--seed-only"]));
        let config = configure(&cluster, variant);
        if variant.role {
            succeeds(
                Command::new(env!("CARGO_BIN_EXE_pgtenant"))
                    .args(["provision", "--all", "--isolation", "row", "--config"])
                    .arg(&config)
                    .args(["--url", &url]),
            );
        }
        if variant.seal.is_some() {
            succeeds(
                Command::new(env!("CARGO_BIN_EXE_pgtenant"))
                    .args(["harden", "--isolation", "row", "--config"])
                    .arg(&config)
                    .args(["--apply", &url]),
            );
        }
        let proxy = Proxy::run(&config);
        Self {
            variant,
            cluster,
            proxy,
        }
    }

    /// Runs the corpus and returns what came out otherwise than it should.
    fn run(&mut self) -> Vec<String> {
        let size = self.variant.size;
        let (mut results, mut findings) = self.run_cases(size, 1);
        if size < LARGEST {
            // What is left are cases that need more server connections.
            self.proxy = Proxy::run(&self.config(LARGEST));
            let (more, wrong) = self.run_cases(LARGEST, size + 1);
            results.push_str(&more);
            findings.extend(wrong);
        }
        findings.extend(self.findings(&results));
        findings
    }

    /// The configuration, but with a pool of this size.
    fn config(&self, size: usize) -> PathBuf {
        let text = fs::read_to_string(&self.proxy.config).unwrap();
        let is = format!("size = {}\n", self.variant.size);
        assert!(text.contains(&is));
        let text = text.replace(&is, &format!("size = {size}\n"));
        let share = format!("size_per_tenant = {}\n", self.variant.size);
        let text = text.replace(&share, &format!("size_per_tenant = {size}\n"));
        put(&self.cluster, "larger.toml", &text)
    }

    /// Runs the cases that need a pool of `need` to `size` connections: a line
    /// for each, and what is wrong with the runner.
    fn run_cases(&self, size: usize, need: usize) -> (String, Vec<String>) {
        let results = self.cluster.directory().join("results.jsonl");
        let started = Instant::now();
        let mut command = corpus_runner();
        command
            .args(["--super", &self.cluster.superuser_url("postgres"), "-q"])
            .args(["--proxy", &self.url("row_a", "tenantlab")])
            .args(["--proxy-b", &self.url("row_b", "tenantlab")])
            .args(["--proxy-schema", &self.url("schema_a", "schemalab")])
            .args(["--proxy-schema-b", &self.url("schema_b", "schemalab")])
            .args(["--pool", &size.to_string(), "--need", &need.to_string()])
            .arg("--json")
            .arg(&results);
        if self.variant.keep_open {
            command.arg("--keep-open");
        }
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        eprintln!(
            "{}: {} s\n{text}{}",
            self.variant.name,
            started.elapsed().as_secs(),
            String::from_utf8_lossy(&output.stderr)
        );
        let mut findings = Vec::new();
        // 1 is for findings, of which exceptions are some.
        let good = match self.variant.except {
            [] => output.status.success(),
            _ => matches!(output.status.code(), Some(0 | 1)),
        };
        if !good {
            findings.push(format!("the runner ended with {}", output.status));
        }
        (fs::read_to_string(results).unwrap_or_default(), findings)
    }

    fn url(&self, login: &str, database: &str) -> String {
        format!(
            "host=127.0.0.1 port={} user={login} password={LOGIN_PASSWORD} dbname={database} sslmode=disable",
            self.proxy.port
        )
    }

    fn findings(&self, results: &str) -> Vec<String> {
        let mut expected: BTreeMap<&str, &str> = self
            .variant
            .except
            .iter()
            .map(|(id, verdict, _)| (*id, *verdict))
            .collect();
        let mut findings = Vec::new();
        let mut cases = 0;
        for line in results.lines() {
            let case: Value = serde_json::from_str(line).unwrap();
            let text = |key: &str| case[key].as_str().unwrap();
            let (id, verdict) = (text("id"), text("verdict"));
            cases += 1;
            match expected.remove(id) {
                Some(known) if known == verdict => {}
                None if GOOD.contains(&verdict) && !is_trouble(text("why")) => {}
                None if verdict == "SKIP" && text("why").starts_with("needs PG") => {}
                _ => findings.push(format!("{verdict} {id}: {}", text("why"))),
            }
        }
        if cases < CASES {
            findings.push(format!("{cases} cases were run, not {CASES}"));
        }
        findings.extend(
            expected
                .keys()
                .map(|id| format!("{id} is excepted and not there")),
        );
        findings
    }
}

/// Verdicts that are as they should be.
const GOOD: [&str; 4] = ["REJECTED", "NOEFFECT", "OK", "REFUSED"];

/// Whether a case was rejected for what is no defence.
fn is_trouble(why: &str) -> bool {
    const CODES: [&str; 6] = ["08006", "53300", "57014", "XX000", "CONN", "TIMEOUT"];
    CODES.iter().any(|code| why.starts_with(code))
}

/// So many there are in the tiers that are run.
const CASES: usize = 474;

/// The largest pool that a case needs.
const LARGEST: usize = 2;

/// `tests/escapes/run_corpus.py`, to be given arguments.
fn corpus_runner() -> Command {
    let script = root().join("tests/escapes/run_corpus.py");
    let mut command = Command::new("python3");
    command.arg(script);
    command
}

fn succeeds(command: &mut Command) {
    let output = command.output().unwrap();
    testkit::succeeds(&format!("{command:?}"), &output);
}

/// Sets the roles' passwords and writes the configuration.
fn configure(cluster: &Cluster, variant: &Variant) -> PathBuf {
    let role_key = random_hex(32).unwrap();
    for name in ["tenant_a_app", "tenant_b_app"] {
        let role = TenantRole::derive(role_key.as_bytes(), name);
        let sql = format!("ALTER ROLE {name} PASSWORD '{}'", role.password);
        cluster.psql("postgres", &sql).unwrap();
    }
    let role_key_file = put(cluster, "role.key", &role_key);
    let seal = variant.seal.map(|seal| {
        let file = put(cluster, "seal.key", &random_hex(32).unwrap());
        format!("seal = {seal:?}\nseal_key_file = {file:?}\n")
    });
    let Variant {
        size,
        mode,
        share,
        opaque,
        ..
    } = variant;
    let role = variant
        .role
        .then(|| format!("role = \"{{role}}\"\nrole_key_file = {role_key_file:?}\n"));
    let mut text = format!(
        r#"{head}[pool]
size = {size}
size_per_tenant = {size}
mode = "{mode}"
share = "{share}"
wait_timeout = "5s"
reclaim_after = "500ms"
reclaim_own_after = "500ms"
[isolation.row]
kind = "setting"
server = "main"
database = "tenantlab"
setting = "session.current_organization_id"
{seal}{role}
[isolation.schema]
kind = "schema"
server = "main"
database = "schemalab"
search_path = ["{{schema}}"]
role = "{{schema}}_app"
role_key_file = {role_key_file:?}
[guard]
opaque = "{opaque}"
"#,
        head = clear_text(cluster.port(), "wellness_app", "app"),
        seal = seal.unwrap_or_default(),
        role = role.unwrap_or_default(),
    );
    let verifier = Verifier::derive(LOGIN_PASSWORD);
    for (login, id, isolation) in TENANTS {
        let own = match variant.role && login.starts_with("row") {
            true => format!("role = \"{login}_app\"\n"),
            false => String::new(),
        };
        let _ = write!(
            text,
            "[[tenants]]\nid = {id:?}\n{isolation}\n{own}\
             [[logins]]\nuser = {login:?}\ntenant = {id:?}\nscram = {verifier:?}\n",
        );
    }
    put(cluster, "pgtenant.toml", &text)
}

fn put(cluster: &Cluster, name: &str, text: &str) -> PathBuf {
    let path = cluster.directory().join(name);
    write_private(&path, text);
    path
}
