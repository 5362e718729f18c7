//! psql: what its backslash commands show through the proxy is what they show
//! without it, to the same role.

use super::{program, proxy, url};
use pgtenant::tenant::TenantRole;
use pgtenant::throwaway::wellness::{APP_ROLE, SCHEMA_DATABASE, SETTING};
use testkit::{Options, Proxy, site, succeeds};

/// Lists of all databases and of sizes are kept to what no other test changes.
const COMMANDS: &str = r"\d
\d users
\d+ users
\d employee_logs
\d+ employee_logs
\d+ made*
\d+
\dS pg_c*
\da pg_catalog.sum
\dA+
\dAc btree
\dAf btree
\dAo btree
\dAp btree
\db
\dc
\dconfig *_cost
\dC
\dd
\dD
\ddp
\dE
\des
\det
\deu
\dew
\df
\df+
\dfa
\dfn pg_catalog.int4*
\dfp
\dft
\dfw pg_catalog.rank
\dF+
\dFd
\dFp
\dFt
\dg
\di
\di+
\dL
\dm
\dm+
\dn
\dn+
\do pg_catalog.||
\dO
\dp
\dP+
\drds
\dRp+
\dRs
\ds
\ds+
\dt
\dt+
\dt *.*
\dT
\dT+
\dT pg_catalog.int*
\du
\du+
\dv
\dv+
\dx
\dx+
\dX
\dy
\l wellness_corp_db
\l+ template1
\z
\z users
\sf made_function
\sf+ pg_catalog.pg_relation_is_publishable
\sv made_view
\sv+ pg_catalog.pg_roles
\ef
\encoding
\errverbose
SELECT 1 AS one, 'a'::text AS two, now() AS three \gdesc
SELECT 1/0 \gdesc
SELECT * FROM (VALUES (1, 'x', 10), (2, 'y', 20), (1, 'y', 30)) v (a, b, c) \crosstabview
SELECT 7 AS number \gset
SELECT :number + 1 AS next \gx
SELECT 'SELECT ' || n FROM generate_series(1, 3) n \gexec
SELECT 1 \; SELECT 2 \; SELECT 3 \g
\copy (SELECT n, 'é€𝄞' FROM generate_series(1, 3) n) TO STDOUT WITH CSV
SELECT no_such_column
";

/// Those of newer releases: the release, and a command.
const NEWER: [(u32, &str); 4] = [
    (16, r"SELECT $1::int + $2::int AS sum \bind 1 2 \g"),
    (
        17,
        r"SELECT n FROM generate_series(1, 3) n \watch i=0.01 c=2 m=3",
    ),
    (18, r"SELECT $1::int AS n \parse named"),
    (18, r"\bind_named named 3 \g"),
];

/// What the guard refuses, by its rule.
const REFUSED: [(&str, &str); 3] = [
    (r"\dl", "large-objects"),
    (r"\lo_list", "large-objects"),
    (r"\lo_export 1 /dev/null", "large-objects"),
];

/// One object of each sort that psql lists, and their comments.
const OBJECTS: &str = "
CREATE VIEW made_view AS SELECT 1 AS one;
CREATE MATERIALIZED VIEW made_materialized AS SELECT 1 AS one;
CREATE FUNCTION made_function(a int, b text DEFAULT 'x') RETURNS text
    LANGUAGE sql IMMUTABLE AS $$ SELECT a || b $$;
CREATE PROCEDURE made_procedure() LANGUAGE sql AS $$ SELECT 1 $$;
CREATE FUNCTION made_trigger_function() RETURNS trigger
    LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TYPE made_enum AS ENUM ('a', 'b');
CREATE TYPE made_pair AS (a int, b text);
CREATE DOMAIN made_domain AS int CHECK (VALUE > 0);
CREATE SEQUENCE made_sequence;
CREATE TABLE made (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    e made_enum, d made_domain DEFAULT 1, t text COLLATE \"C\" UNIQUE,
    g int GENERATED ALWAYS AS (1) STORED, CHECK (t <> ''));
CREATE TABLE made_child (more int) INHERITS (made);
CREATE TABLE made_parts (n int) PARTITION BY RANGE (n);
CREATE TABLE made_part PARTITION OF made_parts FOR VALUES FROM (0) TO (9);
CREATE INDEX made_index ON made USING btree (d DESC NULLS LAST) WHERE d > 1;
CREATE TRIGGER made_trigger BEFORE INSERT ON made
    FOR EACH ROW EXECUTE FUNCTION made_trigger_function();
CREATE STATISTICS made_statistics ON d, t FROM made;
CREATE RULE made_rule AS ON DELETE TO made DO INSTEAD NOTHING;
CREATE AGGREGATE made_sum(int) (SFUNC = int4pl, STYPE = int);
CREATE PUBLICATION made_publication FOR TABLE made;
CREATE EXTENSION IF NOT EXISTS plpgsql;
COMMENT ON TABLE made IS 'made for a test';
COMMENT ON COLUMN made.e IS 'a column';
COMMENT ON CONSTRAINT made_pkey ON made IS 'a constraint';
GRANT SELECT (e), UPDATE (d) ON made TO wellness_app;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO wellness_app;
";

/// A connection without the proxy, and what it must set to be the same session.
struct Direct {
    url: String,
    options: String,
}

impl Direct {
    fn new(role: &str, password: &str, database: &str, options: String) -> Self {
        let port = site().cluster.port();
        let ca = site().ca_file();
        Self {
            url: format!(
                "postgresql://{role}:{password}@127.0.0.1:{port}/{database}\
                 ?sslmode=verify-full&sslrootcert={}",
                ca.display()
            ),
            options,
        }
    }
}

/// The output of each line of `script`.
fn answers(url: &str, options: &str, script: &[&str]) -> Vec<String> {
    let mark = "=== the next command ===";
    let text: String = script
        .iter()
        .map(|line| format!("{line}\n\\echo '{mark}'\n\\warn '{mark}'\n"))
        .collect();
    let output = program("psql")
        .args(["-X", "-d", url, "-f"])
        .arg(site().write_new(".sql", &text))
        .env("PGOPTIONS", options)
        .env("PSQL_EDITOR", "true")
        .output()
        .unwrap();
    succeeds("psql", &output);
    let (out, err) = [output.stdout, output.stderr]
        .map(|bytes| String::from_utf8(bytes).unwrap())
        .into();
    let (out, err): (String, String) = (out, err);
    let all: Vec<_> = out
        .split(mark)
        .zip(err.split(mark))
        .map(|(out, err)| format!("{out}{}", without_place(err)))
        .collect();
    assert_eq!(all.len(), script.len() + 1, "{out}{err}");
    all
}

/// Without the script's name and the line, which psql puts before messages.
fn without_place(errors: &str) -> String {
    let lines = errors.lines().map(|line| match line.split_once(".sql:") {
        Some((_, rest)) => rest.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn version() -> u32 {
    let output = program("psql").arg("--version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let number = text
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    number.unwrap().split('.').next().unwrap().parse().unwrap()
}

#[track_caller]
fn same_answers(direct: &Direct, proxied: &str) {
    let newer = NEWER
        .iter()
        .filter(|(since, _)| version() >= *since)
        .map(|(_, command)| *command);
    let commands: Vec<_> = COMMANDS.lines().chain(newer).collect();
    let expected = answers(&direct.url, &direct.options, &commands);
    let got = answers(proxied, "", &commands);
    for ((command, expected), got) in commands.iter().zip(&expected).zip(&got) {
        assert_eq!(got, expected, "{command}");
    }
    let of = |command| &got[commands.iter().position(|c| *c == command).unwrap()];
    assert!(of(r"\dt").contains("List of relations"), "{}", of(r"\dt"));
    let commands: Vec<_> = REFUSED.iter().map(|(command, _)| *command).collect();
    let got = answers(proxied, "", &commands);
    for ((command, rule), got) in REFUSED.iter().zip(&got) {
        assert!(
            got.contains(&format!("by its rule {rule}")),
            "{command}: {got}"
        );
    }
}

#[test]
fn shows_a_tenant_of_kind_setting_what_its_role_sees() {
    for mode in ["transaction", "session"] {
        let proxy = Proxy::start(&Options {
            tls: "require",
            database: site().fresh_database(),
            mode,
            size: 2,
            ..Options::default()
        });
        let database = proxy.database("innovate");
        site().sql(&database, OBJECTS);
        let tenant = format!("-c {SETTING}=11111111-1111-1111-1111-111111111111");
        let direct = Direct::new(APP_ROLE, &site().app_password, &database, tenant);
        same_answers(&direct, &url(&proxy, "innovate"));
    }
}

#[test]
fn shows_tenants_of_the_other_kinds_what_their_roles_see() {
    // Tenants in whose tables no other test writes: sizes are shown too.
    let proxy = proxy(2);
    let role = TenantRole::derive(site().role_key.as_bytes(), "acme_health_app");
    let path = "-c search_path=acme_health".to_owned();
    let direct = Direct::new("acme_health_app", &role.password, SCHEMA_DATABASE, path);
    same_answers(&direct, &url(&proxy, "acme"));
    let database = proxy.database("umbrella");
    let direct = Direct::new(APP_ROLE, &site().app_password, &database, String::new());
    same_answers(&direct, &url(&proxy, "umbrella"));
}

#[test]
fn runs_scripts() {
    let proxy = proxy(2);
    let url = url(&proxy, "innovate");
    let script = r"\set ON_ERROR_STOP on
\conninfo
SELECT email FROM users;
BEGIN;
SAVEPOINT s;
SELECT count(*) FROM wellness_entries \gset
ROLLBACK TO s;
ROLLBACK;
\set FETCH_COUNT 10
SELECT sum(n) FROM generate_series(1, 100) n;
SELECT n FROM generate_series(1, 25) n;
\unset FETCH_COUNT
\copy users TO STDOUT
\timing on
SELECT 'timed';
\timing off
\set AUTOCOMMIT off
INSERT INTO organizations (name) VALUES ('gone');
ROLLBACK;
SELECT count(*) = 0 AS rolled_back FROM organizations WHERE name = 'gone';
COMMIT;
\set AUTOCOMMIT on
\set ON_ERROR_STOP off
\set ON_ERROR_ROLLBACK on
BEGIN;
SELECT 1 / 0;
SELECT 'goes on';
COMMIT;
\c
SELECT 'again ' || email FROM users;
";
    let output = program("psql")
        .args(["-X", "-A", "-t", "-d", &url, "-f"])
        .arg(site().write_new(".sql", script))
        .output()
        .unwrap();
    succeeds("psql", &output);
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "alice@innovate.example",
        "SSL",
        "5050",
        "\n25\n",
        "timed\nTime: ",
        "\nt\n",
        "goes on",
        "again alice@innovate.example",
    ] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
    assert!(!text.contains("bob@synergy.example"), "{text}");
}

#[test]
fn copies_from_and_to_files() {
    let proxy = proxy(2);
    let url = url(&proxy, "initech");
    let file = site().write_new(".csv", "");
    let path = file.to_str().unwrap();
    let run = |commands: &[&str]| {
        let mut psql = program("psql");
        psql.args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &url]);
        for command in commands {
            psql.args(["-c", command]);
        }
        let output = psql.output().unwrap();
        succeeds("psql", &output);
        String::from_utf8(output.stdout).unwrap()
    };
    let to = format!(
        "\\copy (SELECT id, 'copied', n, created_at FROM users, generate_series(1, 5000) n) \
         TO '{path}' WITH CSV HEADER"
    );
    let from = format!(
        "\\copy wellness_entries (user_id, entry_type, value, created_at) \
         FROM '{path}' WITH CSV HEADER"
    );
    assert_eq!(run(&[&to, &from]), "COPY 5000\nCOPY 5000\n");
    let program = "\\copy users TO PROGRAM 'cat >/dev/null'";
    assert_eq!(run(&[program]), "COPY 1\n");
    let sum = "SELECT count(*), sum(value) FROM wellness_entries WHERE entry_type = 'copied'";
    let delete = "DELETE FROM wellness_entries WHERE entry_type = 'copied'";
    assert_eq!(run(&[sum, delete]), "5000|12502500\nDELETE 5000\n");
}

#[test]
fn watches_until_an_error() {
    let proxy = proxy(2);
    // Fails when it finds three rows of before.
    let query = "WITH added AS (INSERT INTO wellness_entries \
         (user_id, organization_id, entry_type, value) \
         SELECT id, organization_id, 'watched', 1 FROM users) \
         SELECT 'seen ' || 1 / (3 - count(*)) FROM wellness_entries \
         WHERE entry_type = 'watched' \\watch 0.01\n";
    let output = program("psql")
        .args(["-X", "-A", "-t", "-d", &url(&proxy, "innovate"), "-f"])
        .arg(site().write_new(".sql", query))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.matches("seen ").count(), 3, "{text}");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("division by zero"), "{error}");
}
