//! Every way to rows that the escape corpus knows, as a masked login.

use crate::lab::{PASSWORD, mask, run, succeeded};
use pgtenant::directory::Verifier;
use pgtenant::throwaway::{Cluster, ClusterOptions};
use serde_json::Value;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use testkit::{Programs, Proxy, clear_text, root, stderr, stdout, write_private};

/// What every value that is masked has in it.
const CLEAR: &str = "CANARY";
const ORG_A: &str = "aaaaaaaa-0000-4000-8000-000000000001";

/// The columns that have it.
const COLUMNS: [&str; 11] = [
    "organizations.name",
    "wellness_entries.note",
    "audit_log.msg",
    "gaps.part.note",
    "gaps.parent.note",
    "gaps.no_rls.note",
    "gaps.policy_but_disabled.note",
    "gaps.select_only_policy.note",
    "gaps.or_policy.note",
    "gaps.nullok.note",
    "users.email",
];

#[test]
fn postgresql_15() {
    nothing_shows_what_is_masked(15);
}

#[test]
fn postgresql_18() {
    nothing_shows_what_is_masked(18);
}

fn nothing_shows_what_is_masked(major: u32) {
    let Some(programs) = Programs::find(major) else {
        return;
    };
    let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let cluster = Cluster::start(&ClusterOptions {
        bin_dir: Some(programs.folder.clone()),
        settings: vec![
            setting("shared_preload_libraries", "pg_stat_statements"),
            setting("max_prepared_transactions", "10"),
            setting("statement_timeout", "1s"),
        ],
        ..ClusterOptions::default()
    })
    .unwrap();
    let seeded = Command::new("python3")
        .arg(root().join("tests/escapes/run_corpus.py"))
        .args([
            "--super",
            &cluster.superuser_url("postgres"),
            "--seed",
            "--seed-only",
        ])
        .output()
        .unwrap();
    assert!(seeded.status.success(), "{}", stderr(&seeded));
    let file = |name: &str, text: &str| {
        let path = cluster.directory().join(name);
        write_private(&path, text);
        path
    };
    let masks: String = COLUMNS
        .iter()
        .map(|column| column.rsplit_once('.').unwrap())
        .map(|(table, column)| mask(table, column, "with = \"partial(1)\""))
        .collect();
    let config = file(
        "pgtenant.toml",
        &format!(
            "{}[isolation.row]\nkind = \"setting\"\nserver = \"main\"\ndatabase = \"tenantlab\"\n\
             setting = \"session.current_organization_id\"\nmasked_user = \"bi\"\n\
             masked_password_file = {:?}\n{masks}[profiles.bi]\nmasked = true\n\
             [[tenants]]\nid = {ORG_A:?}\n[[logins]]\nuser = \"bi_a\"\ntenant = {ORG_A:?}\n\
             profile = \"bi\"\nscram = {:?}\n",
            clear_text(cluster.port(), "wellness_app", "app"),
            file("bi.password", PASSWORD),
            Verifier::derive(PASSWORD),
        ),
    );
    succeeded(&run(&cluster, &config, &["--apply"]));
    let proxy = Proxy::run(&config);
    let psql = cluster.client_program("psql");
    let runs = |port: u16, user: &str, password: &str, statements: &[String]| {
        let mut command = Command::new(&psql);
        command.args(["-X", "-v", "ON_ERROR_STOP=0"]);
        command.arg(format!(
            "host=127.0.0.1 port={port} user={user} dbname=tenantlab sslmode=disable"
        ));
        command.env("PGPASSWORD", password);
        if port == cluster.port() {
            let options = format!("-c session.current_organization_id={ORG_A}");
            command.env("PGOPTIONS", options);
        }
        for statement in statements {
            command.args(["-c", statement]);
        }
        let output = command.stdin(Stdio::null()).output().unwrap();
        stdout(&output) + &stderr(&output)
    };
    let direct = |statements: &[String]| runs(cluster.port(), "bi", PASSWORD, statements);
    let proxied = |statements: &[String]| runs(proxy.port, "bi_a", PASSWORD, statements);
    let unmasked = |statements: &[String]| runs(cluster.port(), "wellness_app", "app", statements);
    let queue = Mutex::new(cases());
    let (shown, wrong) = (Mutex::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some((id, statements)) = queue.lock().unwrap().pop() else {
                        break;
                    };
                    // A role may change its own password, which would end the test early.
                    let is_own = changes_itself(&statements);
                    let said = (!is_own).then(|| direct(&statements));
                    for said in said.into_iter().chain([proxied(&statements)]) {
                        if said.contains(CLEAR) {
                            wrong.lock().unwrap().push(format!("{id}: {said}"));
                        }
                    }
                    // Those that read, and neither change nor remove the rows of others.
                    if id.starts_with("set-") && unmasked(&statements).contains(CLEAR) {
                        *shown.lock().unwrap() += 1;
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The same ways show a role that is not masked what there is.
    assert!(shown.into_inner().unwrap() > 10);
    // And the masked role could read all the while.
    let read = ["SELECT count(*), min(note) FROM wellness_entries".to_owned()];
    for said in [direct(&read), proxied(&read)] {
        assert!(said.contains("5 | C***"), "{said}");
    }
}

fn changes_itself(statements: &[String]) -> bool {
    let is = |sql: &String| {
        let sql = sql.to_uppercase();
        sql.contains("ALTER ROLE") || sql.contains("ALTER USER")
    };
    statements.iter().any(is)
}

/// The statements of each case, then all rows of what they could have opened.
fn cases() -> Vec<(String, Vec<String>)> {
    let mut cases = Vec::new();
    for file in ["corpus.jsonl", "sequences.jsonl"] {
        let text = std::fs::read_to_string(root().join("tests/escapes").join(file)).unwrap();
        for line in text.lines() {
            let case: Value = serde_json::from_str(line).unwrap();
            let mut statements = Vec::new();
            for key in ["sql", "steps"] {
                collect(&case[key], &mut statements);
            }
            // psql shows the statement that fails.
            let mut statements: Vec<_> = statements
                .iter()
                .map(|sql| sql.replace(CLEAR, "OTHER"))
                .collect();
            for table in [
                "wellness_entries",
                "public.wellness_entries",
                "gaps.mv_entries",
            ] {
                statements.push(format!("SELECT * FROM {table}"));
            }
            cases.push((case["id"].as_str().unwrap().to_owned(), statements));
        }
    }
    assert!(cases.len() > 470);
    cases
}

/// All texts that have a space in them are SQL, or harmless.
fn collect(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) if text.contains(' ') && !text.contains('\0') => {
            into.push(text.clone());
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, into)),
        Value::Object(fields) => fields.values().for_each(|value| collect(value, into)),
        _ => {}
    }
}
