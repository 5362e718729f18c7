//! A server with the recipe's tables, and code in it that runs any text.

use pgtenant::throwaway::wellness::SETTING_DATABASE;
use std::path::PathBuf;
use std::process::{Command, Output};
use testkit::{INNOVATE, Plain, Programs, Proxy, Raw, SYNERGY, stderr, stdout, write_private};

pub(crate) use pgtenant::throwaway::wellness::{APP_ROLE, SETTING};

/// Runs a text with the rights of the client, as code of a customer's database may, and
/// returns the tenant's setting.
const RUNS_TEXT: &str = "
    CREATE FUNCTION run(sql text) RETURNS text LANGUAGE plpgsql AS $$
    BEGIN
        EXECUTE sql;
        RETURN current_setting('session.current_organization_id', true);
    END $$;
    CREATE FUNCTION ask(sql text) RETURNS text LANGUAGE plpgsql AS $$
    DECLARE
        answer text;
    BEGIN
        EXECUTE sql INTO answer;
        RETURN answer;
    END $$";

pub(crate) const DATABASE: &str = SETTING_DATABASE;
pub(crate) const PASSWORD: &str = "a password";

/// The tenants, their logins and roles.
pub(crate) const TENANTS: [(&str, &str, &str); 2] = [
    (INNOVATE, "innovate", "innovate_own"),
    (SYNERGY, "synergy", "synergy_own"),
];

pub(crate) struct Place {
    pub(crate) plain: Plain,
    pub(crate) major: u32,
    _programs: Programs,
}

/// Runs a test on every version of PostgreSQL that is here.
pub(crate) fn on_each_version(test: impl Fn(&Place)) {
    for major in [15, 18] {
        let Some(programs) = Programs::find(major) else {
            continue;
        };
        let place = Place {
            plain: Plain::start(&programs, &[]),
            major,
            _programs: programs,
        };
        place.sql(RUNS_TEXT);
        let key = "the key of the roles, of which there is but one";
        write_private(&place.file("role.key"), key);
        test(&place);
    }
}

impl Place {
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.plain.cluster.directory().join(name)
    }

    /// Runs SQL as the superuser.
    pub(crate) fn sql(&self, sql: &str) -> String {
        let printed = self.plain.cluster.psql(DATABASE, sql);
        let printed = printed.unwrap_or_else(|error| panic!("{sql}: {error}"));
        printed.trim_end().to_owned()
    }

    /// A configuration in which tenants share a role.
    pub(crate) fn shared(&self) -> String {
        let port = self.plain.cluster.port();
        let pool = "size = 4\nsize_per_tenant = 3";
        self.plain.configuration(DATABASE, port, pool, "")
    }

    /// A configuration in which each has its own.
    pub(crate) fn own(&self) -> String {
        self.own_with("")
    }

    /// The same, with more lines of the isolation.
    pub(crate) fn own_with(&self, lines: &str) -> String {
        let setting = format!("setting = \"{SETTING}\"\n");
        let text = self.shared();
        assert!(text.contains(&setting));
        let text = text.replace(
            &setting,
            &format!(
                "{setting}role = \"{{role}}\"\nrole_key_file = {:?}\n{lines}\n",
                self.file("role.key")
            ),
        );
        with_roles(text)
    }

    /// Writes a configuration file that no proxy runs with.
    pub(crate) fn write(&self, text: &str) -> PathBuf {
        let path = self.file("commands.toml");
        write_private(&path, text);
        path
    }

    /// Runs `pgtenant` with this configuration.
    pub(crate) fn command(&self, text: &str, arguments: &[&str]) -> Output {
        let (command, rest) = arguments.split_first().unwrap();
        Command::new(env!("CARGO_BIN_EXE_pgtenant"))
            .arg(command)
            .arg("--config")
            .arg(self.write(text))
            .args(rest)
            .env_remove("PGPASSWORD")
            .output()
            .unwrap()
    }

    /// Runs `pgtenant provision` as this user, or as the superuser.
    pub(crate) fn provision(&self, text: &str, url: Option<&str>, rest: &[&str]) -> Output {
        let superuser = self.plain.cluster.superuser_url("postgres");
        let url = url.unwrap_or(&superuser);
        self.command(text, &[&["provision", "--url", url], rest].concat())
    }

    /// Makes all roles, and returns what is printed.
    #[track_caller]
    pub(crate) fn provisioned(&self, text: &str) -> String {
        let output = self.provision(text, None, &["--all"]);
        let printed = stdout(&output) + &stderr(&output);
        assert!(output.status.success(), "{printed}");
        printed
    }

    /// A proxy before the tenants' own roles, which have been made.
    pub(crate) fn proxy(&self) -> Proxy {
        let text = self.own();
        self.provisioned(&text);
        self.plain.proxy_by(&text)
    }

    pub(crate) fn client(&self, proxy: &Proxy, login: &str) -> Raw {
        self.plain.client(proxy, login)
    }

    /// The same, where it may fail: SQLSTATE and message.
    pub(crate) fn try_client(&self, proxy: &Proxy, login: &str) -> Result<Raw, String> {
        let parameters = [("user", login), ("database", DATABASE)];
        Raw::log_in(proxy.port, PASSWORD, &parameters)
            .map_err(|error| format!("{} {}", error.code(), error.message()))
    }
}

/// Gives each tenant the key `role`.
pub(crate) fn with_roles(text: String) -> String {
    TENANTS.iter().fold(text, |text, (id, _, role)| {
        let id = format!("[[tenants]]\nid = {id:?}\n");
        assert!(text.contains(&id));
        text.replace(&id, &format!("{id}role = {role:?}\n"))
    })
}

/// What `run` is to be given, as a literal.
pub(crate) fn quoted(sql: &str) -> String {
    format!("'{}'", sql.replace('\'', "''"))
}
