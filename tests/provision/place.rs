//! A database of a test's own, and the program that is run on it.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) use pgtenant::tenant::TenantRole;
pub(crate) use std::process::Output;
pub(crate) use testkit::{
    Options, Programs, Proxy, Raw, Site, configuration, site, stderr, stdout,
};

/// A schema with everything that can be copied.
pub(crate) const TEMPLATE: &str = include_str!("../data/template.sql");

/// A database of its own for a test, and the configuration of its tenants, which
/// are of the isolation `made`.
pub(crate) struct Place {
    pub(crate) site: &'static Site,
    pub(crate) database: String,
    pub(crate) options: Options,
    pub(crate) config: PathBuf,
}

/// Servers of the two versions that tests run on; one that is not installed is left out.
pub(crate) fn servers() -> impl Iterator<Item = &'static Site> {
    static NEWEST: LazyLock<Option<(Site, Programs)>> = LazyLock::new(|| {
        let programs = Programs::find(18)?;
        Some((Site::start_on(&programs), programs))
    });
    [Some(site()), NEWEST.as_ref().map(|(site, _)| site)]
        .into_iter()
        .flatten()
}

impl Place {
    /// With tenants of these schemas. Roles are common to all databases: no two
    /// tests may have the same.
    pub(crate) fn new(schemas: &[&str]) -> Self {
        Self::on(site(), schemas)
    }

    /// The same on this server.
    pub(crate) fn on(site: &'static Site, schemas: &[&str]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let database = format!("made_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        site.sql("postgres", &format!("CREATE DATABASE {database}"));
        let sql = format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC");
        site.sql("postgres", &sql);
        let mut more = format!(
            "[isolation.made]\nkind = \"schema\"\nserver = \"main\"\ndatabase = \"{database}\"\n\
             search_path = [\"{{schema}}\"]\nrole = \"{{schema}}_app\"\nrole_key_file = {:?}\n",
            site.file("role.key")
        );
        for (i, schema) in schemas.iter().enumerate() {
            more.push_str(&tenant(site, &database, i, "made", "schema", schema));
        }
        Self::with(site, database, more)
    }

    pub(crate) fn with(site: &'static Site, database: String, more: String) -> Self {
        let options = Options {
            more,
            ..Options::default()
        };
        let config = site.write_new(".toml", &configuration(site, &options));
        Self {
            site,
            database,
            options,
            config,
        }
    }

    pub(crate) fn sql(&self, sql: &str) -> String {
        self.site.sql(&self.database, sql)
    }

    /// Gives all tenants this state, in the file that the program reads.
    pub(crate) fn stand(&self, state: &str) {
        let text = configuration(self.site, &self.options);
        let sections = text.split("[[tenants]]\n");
        let text: Vec<_> = sections.collect();
        let text = text.join(&format!("[[tenants]]\nstate = \"{state}\"\n"));
        fs::write(&self.config, text).unwrap();
    }

    /// Runs the program as the superuser.
    pub(crate) fn provision(&self, arguments: &[&str]) -> Output {
        self.provision_at(&self.site.cluster.superuser_url(&self.database), arguments)
    }

    pub(crate) fn provision_at(&self, url: &str, arguments: &[&str]) -> Output {
        let output = Command::new(env!("CARGO_BIN_EXE_pgtenant"))
            .args(["provision", "--url", url, "--config"])
            .arg(&self.config)
            .args(arguments)
            .output()
            .unwrap();
        let text = format!("{}{}", stdout(&output), stderr(&output));
        for secret in [&*self.site.role_key, self.site.cluster.superuser_password()] {
            assert!(!text.contains(secret), "{text}");
        }
        output
    }

    /// The same, which must succeed: what it prints.
    #[track_caller]
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let output = self.provision(arguments);
        let (out, err) = (stdout(&output), stderr(&output));
        assert_eq!(output.status.code(), Some(0), "{out}{err}");
        out
    }

    /// The same, which must fail: what it prints.
    #[track_caller]
    pub(crate) fn fails(&self, arguments: &[&str]) -> String {
        let output = self.provision(arguments);
        let text = stdout(&output) + &stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        text
    }

    /// Logs in through a proxy as the tenant with this number.
    pub(crate) fn log_in(&self, proxy: &Proxy, tenant: usize) -> Raw {
        let user = login(&self.database, tenant);
        let parameters = [("user", &*user), ("database", &*self.database)];
        Raw::log_in(proxy.port, &proxy.password, &parameters).unwrap()
    }

    /// What pg_dump knows of a schema, line by line, without the schema's name.
    /// The order of dumped objects and lines of columns' defaults differ.
    pub(crate) fn dump(&self, schema: &str) -> Vec<String> {
        let output = Command::new(self.site.cluster.client_program("pg_dump"))
            .args(["--schema-only", "--no-privileges", "-n", schema, "-d"])
            .arg(self.site.cluster.superuser_url(&self.database))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let text = stdout(&output).replace(schema, "SCHEMA");
        let restrict = |line: &&str| !line.starts_with("\\");
        let mut lines: Vec<_> = text.lines().filter(restrict).map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// All that there is: what a failure must not change.
    pub(crate) fn state(&self) -> String {
        self.sql(
            "SELECT nspname, nspacl FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1;
             SELECT oid::regclass, relacl FROM pg_class
                 WHERE relnamespace::regnamespace::text !~ '^pg_|^information_schema' ORDER BY 1;
             SELECT rolname, rolcanlogin, md5(rolpassword) FROM pg_authid
                 WHERE rolname ~ '_app$' AND rolname ~ current_database() ORDER BY 1",
        )
    }
}

/// The sections of a tenant and its login.
pub(crate) fn tenant(
    site: &Site,
    database: &str,
    number: usize,
    isolation: &str,
    key: &str,
    value: &str,
) -> String {
    let mut text = String::new();
    let id = format!("{database}-{number}");
    let user = login(database, number);
    let verifier = &site.login_verifier;
    write!(
        text,
        "[[tenants]]\nid = {id:?}\nname = \"Company {number}\"\nisolation = {isolation:?}\n\
         {key} = {}\n[[logins]]\nuser = {user:?}\ntenant = {id:?}\nscram = {verifier:?}\n",
        toml(value)
    )
    .unwrap();
    text
}

pub(crate) fn login(database: &str, number: usize) -> String {
    format!("{database}_login_{number}")
}

pub(crate) fn toml(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A directory of SQL files, as an argument.
pub(crate) struct Files(tempfile::TempDir);

impl Files {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let files_ = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            files_.write(name, text);
        }
        files_
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    pub(crate) fn template(&self) -> String {
        format!("--template=dir:{}", self.0.path().display())
    }
}
