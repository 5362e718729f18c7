//! WellnessCorp: the example that the demo and the tests share.
//!
//! A platform for well-being at work whose customers are companies, in all three
//! layouts of tenancy at once. The SQL stands in `sql/`.

use super::{Cluster, ClusterError};
use crate::directory::Verifier;
use crate::tenant::TenantRole;

/// The role that the application logs in as in the setting and database kinds.
pub const APP_ROLE: &str = "wellness_app";

/// The setting that the policies of the setting kind read.
pub const SETTING: &str = "session.current_organization_id";

/// The database of the setting kind.
pub const SETTING_DATABASE: &str = "wellness_corp_db";

/// The database of the schema kind.
pub const SCHEMA_DATABASE: &str = "wellness_schemas";

/// One company that uses the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Company {
    /// Its id.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// The user name that the demo gives it at the proxy.
    pub login: &'static str,
    /// Where its rows are.
    pub layout: Layout,
}

/// Where a company's rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// In the shared tables of [`SETTING_DATABASE`], behind row-level security.
    Setting,
    /// In this schema of [`SCHEMA_DATABASE`]; its role is `<schema>_app`.
    Schema(&'static str),
    /// In this database.
    Database(&'static str),
}

impl Layout {
    /// The kind's name in the configuration file.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Setting => "setting",
            Self::Schema(_) => "schema",
            Self::Database(_) => "database",
        }
    }

    /// The database that holds the rows.
    #[must_use]
    pub fn database(self) -> &'static str {
        match self {
            Self::Setting => SETTING_DATABASE,
            Self::Schema(_) => SCHEMA_DATABASE,
            Self::Database(name) => name,
        }
    }
}

/// All companies: two of each layout.
pub const COMPANIES: [Company; 6] = [
    Company {
        id: "11111111-1111-1111-1111-111111111111",
        name: "Innovate Inc.",
        login: "innovate",
        layout: Layout::Setting,
    },
    Company {
        id: "22222222-2222-2222-2222-222222222222",
        name: "Synergy Corp",
        login: "synergy",
        layout: Layout::Setting,
    },
    Company {
        id: "33333333-3333-3333-3333-333333333333",
        name: "Acme Health",
        login: "acme",
        layout: Layout::Schema("acme_health"),
    },
    Company {
        id: "44444444-4444-4444-4444-444444444444",
        name: "Globex",
        login: "globex",
        layout: Layout::Schema("globex"),
    },
    Company {
        id: "55555555-5555-5555-5555-555555555555",
        name: "Initech",
        login: "initech",
        layout: Layout::Database("wellness_initech"),
    },
    Company {
        id: "66666666-6666-6666-6666-666666666666",
        name: "Umbrella",
        login: "umbrella",
        layout: Layout::Database("wellness_umbrella"),
    },
];

/// Loads all three layouts. `app_password` becomes the password of [`APP_ROLE`];
/// the roles of the schema kind get theirs from `role_key`. The server is told
/// verifiers only, no password.
///
/// # Errors
/// When `psql` is missing or a statement fails.
pub fn load(cluster: &Cluster, app_password: &str, role_key: &[u8]) -> Result<(), ClusterError> {
    load_roles(cluster, app_password)?;
    load_setting(cluster)?;
    load_schema(cluster, role_key)?;
    load_database(cluster)
}

/// Makes [`APP_ROLE`], which the other parts need.
///
/// # Errors
/// As [`load`].
pub fn load_roles(cluster: &Cluster, app_password: &str) -> Result<(), ClusterError> {
    let verifier = Verifier::derive(app_password);
    let variables = [("app_verifier", verifier.as_str())];
    cluster.psql_with("postgres", include_str!("sql/roles.sql"), &variables)?;
    Ok(())
}

/// Loads the setting kind: [`SETTING_DATABASE`].
///
/// # Errors
/// As [`load`].
pub fn load_setting(cluster: &Cluster) -> Result<(), ClusterError> {
    create_database(cluster, SETTING_DATABASE)?;
    cluster.psql(SETTING_DATABASE, include_str!("sql/setting.sql"))?;
    cluster.psql(SETTING_DATABASE, include_str!("sql/setting_data.sql"))?;
    Ok(())
}

/// Loads the schema kind: [`SCHEMA_DATABASE`] and a role for each company.
///
/// # Errors
/// As [`load`].
pub fn load_schema(cluster: &Cluster, role_key: &[u8]) -> Result<(), ClusterError> {
    create_database(cluster, SCHEMA_DATABASE)?;
    cluster.psql(SCHEMA_DATABASE, include_str!("sql/schema.sql"))?;
    cluster.psql(SCHEMA_DATABASE, include_str!("sql/schema_data.sql"))?;
    for company in COMPANIES {
        if let Layout::Schema(schema) = company.layout {
            set_role_password(cluster, &format!("{schema}_app"), role_key)?;
        }
    }
    Ok(())
}

/// Loads the database kind: a database for each company.
///
/// # Errors
/// As [`load`].
pub fn load_database(cluster: &Cluster) -> Result<(), ClusterError> {
    for company in COMPANIES {
        let Layout::Database(database) = company.layout else {
            continue;
        };
        create_database(cluster, database)?;
        let email = format!("grace@{}.example", company.login);
        // Different values for each company, so that a mix-up shows.
        let offset = company.name.len().to_string();
        let variables = [
            ("database", database),
            ("email", &email),
            ("offset", &offset),
        ];
        cluster.psql_with(database, include_str!("sql/database.sql"), &variables)?;
    }
    Ok(())
}

fn create_database(cluster: &Cluster, name: &str) -> Result<(), ClusterError> {
    let sql = "CREATE DATABASE :\"name\";";
    cluster.psql_with("postgres", sql, &[("name", name)])?;
    Ok(())
}

fn set_role_password(cluster: &Cluster, role: &str, key: &[u8]) -> Result<(), ClusterError> {
    let derived = TenantRole::derive(key, role);
    let verifier = Verifier::derive(&derived.password);
    let sql = "ALTER ROLE :\"role\" PASSWORD :'verifier';";
    let variables = [("role", role), ("verifier", verifier.as_str())];
    cluster.psql_with("postgres", sql, &variables)?;
    Ok(())
}
