//! Runs the command and reads its report.

use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};
use testkit::{Options, Proxy, Site, site, stderr, stdout};

/// Runs `pgtenant prove`.
pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pgtenant"))
        .arg("prove")
        .args(arguments)
        .env_remove("PGPASSWORD")
        .output()
        .unwrap()
}

/// What it has found.
#[derive(Debug)]
pub(crate) struct Proved {
    pub(crate) status: Option<i32>,
    pub(crate) text: String,
    tests: Vec<(String, String, String, String)>,
}

impl Proved {
    /// Runs it with these arguments and `--json`.
    pub(crate) fn by(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("report.json");
        let mut all = arguments.to_vec();
        all.extend(["--json", file.to_str().unwrap()]);
        let output = run(&all);
        let report = std::fs::read_to_string(&file);
        let report = report.unwrap_or_else(|_| panic!("{}", stderr(&output)));
        let report: Value = serde_json::from_str(&report).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let mut tests = Vec::new();
        for promise in report["promises"].as_array().unwrap() {
            for test in promise["tests"].as_array().unwrap() {
                tests.push((
                    text(&test["id"]),
                    text(&promise["id"]),
                    text(&test["result"]),
                    text(&test["detail"]),
                ));
            }
        }
        Self {
            status: output.status.code(),
            text: stdout(&output),
            tests,
        }
    }

    /// The names of tests with this result.
    pub(crate) fn all(&self, result: &str) -> Vec<&str> {
        let of = self.tests.iter().filter(|test| test.2 == result);
        of.map(|test| test.0.as_str()).collect()
    }

    /// The result of a test, and what it says.
    pub(crate) fn of(&self, id: &str) -> (&str, &str) {
        let found = self.tests.iter().find(|test| test.0 == id);
        let found = found.unwrap_or_else(|| panic!("no test {id}: {:#?}", self.tests));
        (&found.2, &found.3)
    }

    /// Checks that these tests show that something is broken, and that the command says so.
    #[track_caller]
    pub(crate) fn breaks(&self, ids: &[&str]) {
        for id in ids {
            assert_eq!(self.of(id).0, "broken", "{id}: {:?}", self.of(id));
        }
        assert_eq!(self.status, Some(1), "{}", self.text);
    }

    /// Checks that nothing else than these is broken.
    #[track_caller]
    pub(crate) fn breaks_alone(&self, ids: &[&str]) {
        assert_eq!(self.all("broken"), ids, "{}", self.text);
        self.breaks(ids);
    }
}

/// A proxy before a database of its own, and the URLs of two of its tenants.
pub(crate) struct Lab {
    pub(crate) proxy: Proxy,
    pub(crate) site: &'static Site,
}

impl Lab {
    pub(crate) fn start(options: &Options) -> Self {
        let site = site();
        let proxy = Proxy::start_before(site, options);
        Self { proxy, site }
    }

    /// The URL of a login, over TLS that is verified.
    pub(crate) fn url(&self, login: &str) -> String {
        let url = self.proxy.url(login);
        let url = url.replace("127.0.0.1", "localhost");
        let (base, _) = url.split_once('?').unwrap();
        format!("{base}?sslmode=verify-full&sslrootcert={}", self.ca())
    }

    pub(crate) fn ca(&self) -> String {
        self.site.ca_file().to_str().unwrap().to_owned()
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.proxy.config.clone()
    }

    /// Proves it for the two tenants of kind `setting`.
    pub(crate) fn prove(&self, arguments: &[&str]) -> Proved {
        let (one, two) = (self.url("innovate"), self.url("synergy"));
        let mut all = vec!["--login", one.as_str(), "--other", two.as_str()];
        all.extend(arguments);
        Proved::by(&all)
    }
}

/// Options with a database of one's own.
pub(crate) fn own_database() -> Options {
    Options {
        database: site().fresh_database(),
        tls: "require",
        ..Options::default()
    }
}
