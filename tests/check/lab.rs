//! Databases to check, and the proof that fixes fix.

pub(crate) use pgtenant::throwaway::wellness::SETTING;
use pgtenant::throwaway::{Cluster, ClusterOptions};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use testkit::Programs;

pub(crate) const APP: &str = "wellness_app";
pub(crate) const KEY: &str = "0123456789abcdef0123456789abcdef";

/// The tenants of the escape corpus.
pub(crate) const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
pub(crate) const B: &str = "bbbbbbbb-0000-4000-8000-000000000002";

/// A server with the roles of the examples; each test makes databases of its own.
pub(crate) struct Lab {
    pub(crate) cluster: Cluster,
    _programs: Option<Programs>,
}

/// What an application asks of its database, and what it gets: with the fixes of
/// `check` just as before.
pub(crate) struct Application<'a> {
    /// The setting and the tenant.
    pub(crate) tenant: (&'a str, &'a str),
    /// Statements, and what psql prints of them. Each is rolled back.
    pub(crate) statements: &'a [(&'a str, &'a str)],
}

/// Runs a test on every version of PostgreSQL that is here.
pub(crate) fn on_each_version(test: impl Fn(&Lab)) {
    for major in [15, 18] {
        if let Some(programs) = Programs::find(major) {
            test(&Lab::on(Some(programs)));
        }
    }
}

/// Two databases of tenants with known gaps, those of the escape corpus: tenantlab
/// (a setting; what is meant to be found lies in the schemas app and gaps) and
/// schemalab (a schema a tenant).
fn gaps() -> String {
    let seed = include_str!("../escapes/seed.sql").lines();
    // Marks for the corpus's own runner.
    let sql = seed.filter(|line| !["\\data", "\\enddata"].contains(line));
    sql.map(|line| format!("{line}\n")).collect()
}

impl Lab {
    pub(crate) fn start() -> Self {
        Self::on(None)
    }

    fn on(programs: Option<Programs>) -> Self {
        let bin_dir = programs.as_ref().map(|programs| programs.folder.clone());
        let options = ClusterOptions {
            bin_dir,
            ..ClusterOptions::default()
        };
        let lab = Self {
            cluster: Cluster::start(&options).unwrap(),
            _programs: programs,
        };
        lab.write("app.password", "app");
        lab.write("role.key", KEY);
        lab
    }

    pub(crate) fn with_gaps() -> Self {
        let lab = Self::start();
        lab.sql("postgres", &gaps());
        lab
    }

    /// Makes the application's role and a database with this schema.
    pub(crate) fn database(&self, name: &str, schema: &str) {
        let role = format!(
            "DO $$ BEGIN CREATE ROLE {APP} LOGIN PASSWORD 'app'; \
             EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        );
        self.sql("postgres", &role);
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        let rights = format!(
            "REVOKE ALL ON DATABASE {name} FROM PUBLIC; GRANT CONNECT ON DATABASE {name} TO {APP}; \
             REVOKE CREATE ON SCHEMA public FROM PUBLIC"
        );
        self.sql(name, &rights);
        self.sql(name, schema);
    }

    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        self.cluster
            .psql(database, sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.cluster.directory().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A configuration with this server and what is given.
    pub(crate) fn configuration(&self, rest: &str) -> PathBuf {
        let port = self.cluster.port();
        let text = format!(
            "[listen]\nmax_clients = 100\n[tls]\nmode = \"off\"\n[servers.main]\nhost = \"127.0.0.1\"\nport = {port}\n\
             tls = \"off\"\nuser = \"{APP}\"\npassword_file = \"app.password\"\n{rest}"
        );
        let name = format!(
            "{:016x}.toml",
            text.bytes().fold(7_u64, |hash, byte| {
                hash.wrapping_mul(31).wrapping_add(u64::from(byte))
            })
        );
        self.write(&name, &text)
    }

    /// A configuration of the setting kind, with the tenants of the corpus.
    pub(crate) fn setting(&self, database: &str) -> PathBuf {
        self.tenants(database, SETTING, &[A, B])
    }

    /// A configuration of the setting kind.
    pub(crate) fn tenants(&self, database: &str, setting: &str, tenants: &[&str]) -> PathBuf {
        let tenants = tenants
            .iter()
            .map(|id| format!("[[tenants]]\nid = \"{id}\"\n"));
        self.configuration(&format!(
            "[isolation.rows]\nkind = \"setting\"\nserver = \"main\"\ndatabase = \"{database}\"\n\
             setting = \"{setting}\"\n{}",
            tenants.collect::<String>()
        ))
    }

    pub(crate) fn superuser(&self) -> String {
        self.cluster.superuser_url("postgres")
    }

    /// Checks as the superuser.
    pub(crate) fn check(&self, configuration: &Path) -> Report {
        Report::of(&run(&[
            "--config",
            configuration.to_str().unwrap(),
            "--json",
            "--url",
            &self.superuser(),
        ]))
    }

    /// Checks a copy of the database, runs the SQL of every finding on it, and
    /// asserts that nothing that it fixes is found any more and that the application
    /// works after each fix as before; again, until there is no SQL left. Returns
    /// the last report.
    pub(crate) fn fix(
        &self,
        configuration: &Path,
        database: &str,
        application: Option<&Application<'_>>,
    ) -> Report {
        let copy = format!("{database}_copy");
        self.copy(database, &copy);
        let text = std::fs::read_to_string(configuration).unwrap();
        let quoted = |name: &str| format!("database = \"{name}\"");
        let text = text.replace(&quoted(database), &quoted(&copy));
        let configuration = self.write(&format!("{copy}.toml"), &text);
        self.works(&copy, application, "as it stands");
        let mut report = self.check(&configuration);
        for _ in 0..4 {
            let mut fixed = Vec::new();
            for finding in report.findings() {
                let Some(fix) = finding["fix"].as_str() else {
                    continue;
                };
                if finding["server"].is_null() || fix.starts_with("-- ") {
                    continue;
                }
                self.cluster
                    .psql(&copy, fix)
                    .unwrap_or_else(|error| panic!("{finding:#}: {error}"));
                self.works(&copy, application, &finding.to_string());
                fixed.push((finding["id"].clone(), finding["object"].clone()));
            }
            if fixed.is_empty() {
                return report;
            }
            report = self.check(&configuration);
            report.assert_complete();
            for finding in report.findings() {
                let key = (finding["id"].clone(), finding["object"].clone());
                let has_sql = finding["fix"].is_string();
                assert!(!(has_sql && fixed.contains(&key)), "still: {finding:#}");
            }
        }
        panic!("each fix makes another one needed: {:#?}", report.list());
    }

    /// A copy, with the rights and settings of the database itself.
    fn copy(&self, database: &str, copy: &str) {
        self.sql("postgres", &format!("DROP DATABASE IF EXISTS {copy}"));
        self.sql(
            "postgres",
            &format!("CREATE DATABASE {copy} TEMPLATE {database}"),
        );
        self.sql(
            "postgres",
            &format!(
                "UPDATE pg_database SET datacl = (SELECT datacl FROM pg_database \
                 WHERE datname = '{database}') WHERE datname = '{copy}'; \
                 INSERT INTO pg_db_role_setting SELECT \
                 (SELECT oid FROM pg_database WHERE datname = '{copy}'), setrole, setconfig \
                 FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase \
                 WHERE datname = '{database}'"
            ),
        );
    }

    fn works(&self, database: &str, application: Option<&Application<'_>>, after: &str) {
        let Some(application) = application else {
            return;
        };
        let (setting, tenant) = application.tenant;
        for (statement, expected) in application.statements {
            let sql =
                format!("SET ROLE {APP}; SET {setting} = '{tenant}'; BEGIN; {statement}; ROLLBACK");
            let printed = self
                .cluster
                .psql(database, &sql)
                .unwrap_or_else(|error| panic!("{statement}: {error}\nafter {after}"));
            assert_eq!(&printed, expected, "{statement}\nafter {after}");
        }
    }
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pgtenant"))
        .arg("check")
        .args(arguments)
        .env_remove("PGPASSWORD")
        .output()
        .unwrap()
}

/// A report as programs get it.
pub(crate) struct Report {
    pub(crate) json: Value,
    pub(crate) status: Option<i32>,
}

impl Report {
    pub(crate) fn of(output: &Output) -> Self {
        let json = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        let report = Self {
            json,
            status: output.status.code(),
        };
        assert_eq!(report.json["version"], 1);
        report
    }

    pub(crate) fn findings(&self) -> &[Value] {
        self.json["findings"].as_array().unwrap()
    }

    pub(crate) fn of_check(&self, id: &str) -> Vec<Value> {
        let findings = self.findings().iter().cloned();
        findings.filter(|finding| finding["id"] == id).collect()
    }

    /// The finding of a check about an object.
    pub(crate) fn one(&self, id: &str, object: &str) -> Value {
        let all = self.of_check(id);
        let one = all.iter().find(|finding| finding["object"] == object);
        one.unwrap_or_else(|| panic!("no {id} {object} in {:#?}", self.list()))
            .clone()
    }

    /// `PGT201 table public.users`, in the order of the report; without what is so of every
    /// database here, that tenants share a role (`tests/roles` looks at that).
    pub(crate) fn list(&self) -> Vec<String> {
        let name = |finding: &Value| {
            let text = |key: &str| finding[key].as_str().unwrap().to_owned();
            format!("{} {}", text("id"), text("object"))
        };
        let found = self.findings().iter().map(name);
        found.filter(|one| !one.starts_with("PGT011 ")).collect()
    }

    pub(crate) fn assert_has(&self, expected: &[&str]) {
        let found = self.list();
        for one in expected {
            assert!(
                found.iter().any(|found| found == one),
                "{one} is not in {found:#?}"
            );
        }
    }

    pub(crate) fn assert_complete(&self) {
        assert_eq!(self.json["failures"], serde_json::json!([]));
    }
}
