//! The server that is the judge, and sessions on it.

use pgtenant::tenant::TenantRole;
use pgtenant::throwaway::wellness::{self, APP_ROLE, SCHEMA_DATABASE, SETTING, SETTING_DATABASE};
use pgtenant::throwaway::{Cluster, ClusterOptions};
use std::cell::RefCell;
use testkit::{Answer, Raw};

const A: &str = "11111111-1111-1111-1111-111111111111";
const B: &str = "22222222-2222-2222-2222-222222222222";
/// What only rows of the other tenant hold.
const FOREIGN: [&[u8]; 2] = [b"bob@synergy.example", b"hashed_password_2"];
const PASSWORD: &str = "app";
const ROLE_KEY: &[u8] = b"a key of thirty-two bytes or more";

/// What carries the tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Setting,
    Schema,
}

impl Kind {
    pub(super) fn protected(self) -> &'static str {
        match self {
            Self::Setting => SETTING,
            Self::Schema => "search_path",
        }
    }

    fn database(self) -> &'static str {
        match self {
            Self::Setting => SETTING_DATABASE,
            Self::Schema => SCHEMA_DATABASE,
        }
    }

    fn role(self) -> &'static str {
        match self {
            Self::Setting => APP_ROLE,
            Self::Schema => "acme_health_app",
        }
    }

    pub(super) fn value(self) -> &'static str {
        match self {
            Self::Setting => A,
            Self::Schema => "acme_health",
        }
    }

    fn other_value(self) -> &'static str {
        match self {
            Self::Setting => B,
            Self::Schema => "globex",
        }
    }
}

/// A server with the data of two tenants, and a schema in which their role may
/// make what it likes.
pub(super) struct Server {
    kind: Kind,
    cluster: Cluster,
    admin: RefCell<Raw>,
}

impl Server {
    pub(super) fn start(kind: Kind) -> Self {
        let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
        wellness::load_roles(&cluster, PASSWORD).unwrap();
        match kind {
            Kind::Setting => wellness::load_setting(&cluster).unwrap(),
            Kind::Schema => wellness::load_schema(&cluster, ROLE_KEY).unwrap(),
        }
        let admin = Raw::log_in(
            cluster.port(),
            cluster.superuser_password(),
            &[("user", "postgres"), ("database", kind.database())],
        );
        let server = Self {
            kind,
            admin: RefCell::new(admin.unwrap()),
            cluster,
        };
        if kind == Kind::Schema {
            server.admin(SCHEMA_TABLES);
        }
        let role = kind.role();
        server.admin(&format!(
            "ALTER ROLE {role} SET statement_timeout = '10s'; ALTER ROLE {role} SET lock_timeout = '100ms'"
        ));
        server.make_schema();
        server
    }

    /// A session whose reset values name the other tenant.
    pub(super) fn session(&self) -> Session {
        let kind = self.kind;
        let password = match kind {
            Kind::Setting => PASSWORD.to_owned(),
            Kind::Schema => TenantRole::derive(ROLE_KEY, kind.role())
                .password
                .to_string(),
        };
        let options = format!("-c {}={}", kind.protected(), kind.other_value());
        let raw = Raw::log_in(
            self.cluster.port(),
            &password,
            &[
                ("user", kind.role()),
                ("database", kind.database()),
                ("options", &options),
            ],
        );
        Session {
            kind,
            raw: raw.unwrap(),
            status: Some('I'),
            settings: Vec::new(),
        }
    }

    /// A digest of the other tenant's rows.
    pub(super) fn foreign_rows(&self) -> String {
        let sql = match self.kind {
            Kind::Setting => format!(
                "SELECT md5(string_agg(u::text, ',' ORDER BY u::text)) FROM (SELECT u::text FROM users u WHERE organization_id = '{B}' \
                 UNION ALL SELECT w::text FROM wellness_entries w WHERE organization_id = '{B}') AS rows (u)"
            ),
            Kind::Schema => {
                "SELECT md5(string_agg(u::text, ',' ORDER BY u::text)) FROM globex.users u"
                    .to_owned()
            }
        };
        self.admin.borrow_mut().value(&sql)
    }

    /// Takes away what a query string has left in the database.
    pub(super) fn clean(&self, text: &str) {
        let upper = text.to_uppercase();
        if upper.contains("CREATE") {
            self.make_schema();
        }
        if ["INSERT", "UPDATE", "DELETE", "MERGE"]
            .iter()
            .any(|word| upper.contains(word))
            && self.kind == Kind::Setting
        {
            self.admin(&format!(
                "DELETE FROM users WHERE organization_id = '{A}'; \
                 INSERT INTO users (id, organization_id, email, password_hash) \
                 VALUES ('aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa', '{A}', 'alice@innovate.example', 'hashed_password_1'); \
                 INSERT INTO wellness_entries (user_id, organization_id, entry_type, value) \
                 VALUES ('aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa', '{A}', 'steps', 1)"
            ));
        }
    }

    fn make_schema(&self) {
        self.admin(&format!(
            "SET client_min_messages = error; DROP SCHEMA IF EXISTS oracle CASCADE; CREATE SCHEMA oracle; \
             GRANT ALL ON SCHEMA oracle TO {}",
            self.kind.role()
        ));
    }

    fn admin(&self, sql: &str) {
        self.admin.borrow_mut().run_ok(sql);
    }
}

const SCHEMA_TABLES: &str = "
DO $$
DECLARE s text;
BEGIN
    FOREACH s IN ARRAY ARRAY['acme_health', 'globex'] LOOP
        EXECUTE format('CREATE TABLE %I.organizations (id uuid DEFAULT gen_random_uuid(), name text);
            CREATE TABLE %I.users (id uuid DEFAULT gen_random_uuid(), organization_id uuid, email text, password_hash text, UNIQUE (organization_id, email));
            CREATE TABLE %I.wellness_entries (id uuid, organization_id uuid, value int);
            GRANT ALL ON ALL TABLES IN SCHEMA %I TO %I', s, s, s, s, s || '_app');
    END LOOP;
    INSERT INTO acme_health.organizations (name) VALUES ('a');
    INSERT INTO acme_health.users (email, password_hash) VALUES ('alice@innovate.example', 'hashed_password_1');
    INSERT INTO globex.users (email, password_hash) VALUES ('bob@synergy.example', 'hashed_password_2');
END $$";

/// What of a session matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    /// What isolates the tenants.
    pub(super) context: Vec<Option<String>>,
    /// A digest of all settings.
    pub(super) settings: Option<String>,
    /// It holds temporary objects, prepared statements or cursors.
    pub(super) residue: bool,
    /// It holds advisory locks or listens.
    pub(super) locks: bool,
}

/// What a query string did.
pub(super) struct Outcome {
    pub(super) failed: bool,
    /// The answer shows rows of the other tenant.
    pub(super) foreign: bool,
}

/// A session straight on the server.
pub(super) struct Session {
    kind: Kind,
    raw: Raw,
    /// Of the transaction; `None` once the connection is gone.
    status: Option<char>,
    settings: Vec<Vec<Option<String>>>,
}

impl Session {
    /// Cleans it and attaches the tenant.
    pub(super) fn attach(&mut self) {
        self.must("DISCARD ALL");
        self.attach_only();
        if self.settings.is_empty() {
            self.settings = self.all_settings();
        }
    }

    pub(super) fn attach_only(&mut self) {
        let (name, value) = (self.kind.protected(), self.kind.value());
        self.must(&format!(
            "SELECT pg_catalog.set_config('{name}', '{value}', false)"
        ));
    }

    /// Runs what may fail; `None`: the connection is gone.
    pub(super) fn run(&mut self, sql: &str) -> Option<Outcome> {
        self.raw.send_query(sql);
        let answer = self.raw.try_ready();
        self.status = answer.as_ref().map(Answer::status);
        let answer = answer?;
        let foreign = answer.messages.iter().any(|message| {
            let holds = |part: &&[u8]| message.body.windows(part.len()).any(|at| at == *part);
            FOREIGN.iter().any(holds)
        });

        Some(Outcome {
            failed: answer.of(b'E').next().is_some(),
            foreign,
        })
    }

    pub(super) fn must(&mut self, sql: &str) -> Answer {
        let answer = self.raw.run_ok(sql);
        self.status = Some(answer.status());
        answer
    }

    /// Ends the transaction, if one is open.
    pub(super) fn end(&mut self) {
        if self.status.is_some_and(|status| status != 'I') {
            self.must("COMMIT");
        }
    }

    pub(super) fn alive(&self) -> bool {
        self.status.is_some()
    }

    /// Whether an open transaction has failed.
    pub(super) fn failed(&self) -> bool {
        self.status == Some('E')
    }

    pub(super) fn state(&mut self) -> State {
        let carrier = self.kind.protected();
        let answer = self.must(&format!(
            "SELECT pg_catalog.current_setting('{carrier}', true), current_user, session_user, \
             pg_catalog.current_setting('role'), pg_catalog.current_setting('row_security'), \
             pg_catalog.current_setting('session_replication_role'), pg_catalog.current_setting('client_encoding'), \
             pg_catalog.current_setting('standard_conforming_strings'), pg_catalog.current_setting('is_superuser'), \
             (SELECT pg_catalog.md5(pg_catalog.string_agg(name || '=' || setting, ',' ORDER BY name)) \
                 FROM pg_catalog.pg_show_all_settings() WHERE name !~ '^transaction_'), \
             (EXISTS (SELECT FROM pg_catalog.pg_class WHERE relnamespace = pg_catalog.pg_my_temp_schema() AND relkind <> 'i') \
                 OR EXISTS (SELECT FROM pg_catalog.pg_type WHERE typnamespace = pg_catalog.pg_my_temp_schema()) \
                 OR EXISTS (SELECT FROM pg_catalog.pg_proc WHERE pronamespace = pg_catalog.pg_my_temp_schema()) \
                 OR EXISTS (SELECT FROM pg_catalog.pg_prepared_statements) \
                 OR EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE is_holdable))::text, \
             (EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid()) \
                 OR EXISTS (SELECT FROM pg_catalog.pg_listening_channels()))::text"
        ));
        let mut row = answer.rows().remove(0);
        let mut last = || row.pop().flatten();
        let locks = last().as_deref() == Some("true");
        let residue = last().as_deref() == Some("true");
        let settings = last();
        State {
            context: row,
            settings,
            residue,
            locks,
        }
    }

    /// The settings that differ from those after the first attachment. Those of
    /// a language that was loaded since then are not among them.
    pub(super) fn changed(&mut self) -> Vec<String> {
        let now = self.all_settings();
        let is_other = |row: &&Vec<_>| self.settings.iter().any(|s| s[0] == row[0] && s != *row);
        now.iter()
            .filter(is_other)
            .map(|row| row[0].clone().unwrap().to_lowercase())
            .collect()
    }

    fn all_settings(&mut self) -> Vec<Vec<Option<String>>> {
        self.must(
            "SELECT name, setting FROM pg_catalog.pg_show_all_settings() \
             WHERE name !~ '^transaction_' ORDER BY name",
        )
        .rows()
    }
}
