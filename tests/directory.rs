//! Where tenants and logins come from beside the configuration file: a folder, a
//! database; and that changes of them are noticed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use pgtenant::audit::Statements;
use pgtenant::config::{self, Problems, Settings};
use pgtenant::directory::{
    Built, Cell, Directory, Follower, Incumbents, LoadError, Rows, Snapshot, Watch,
};
use pgtenant::ops::directory::{adopt, complete};
use pgtenant::tenant::{Attachment, Endpoint, Placement, SharedTenant, Standing, TenantId};
use proptest::prelude::*;
use proptest::sample::select;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use tempfile::TempDir;
use testkit::{INNOVATE, PATIENCE, Proxy, Raw, SCRAM, SYNERGY, Site, site};
use tokio::time::timeout;

/// The least that loads.
const SMALL: &str = r#"
[tls]
mode = "off"
[servers.main]
host = "127.0.0.1"
tls = "off"
user = "wellness_app"
[isolation.wellness]
kind = "setting"
server = "main"
database = "wellness_corp_db"
setting = "session.current_organization_id"
"#;

fn tenant(id: &str) -> String {
    format!("[[tenants]]\nid = \"{id}\"\n")
}

fn login(user: &str, tenant: &str) -> String {
    format!("[[logins]]\nuser = \"{user}\"\ntenant = \"{tenant}\"\nscram = \"{SCRAM}\"\n")
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

/// A folder with a configuration file.
struct Folder(TempDir);

impl Folder {
    fn new(text: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.put("pgtenant.toml", text);
        folder
    }

    /// One whose configuration has the folder `tenants.d`.
    fn with_parts() -> Self {
        let folder = Self::new(&format!("{SMALL}[directory]\nfolder = \"tenants.d\"\n"));
        std::fs::create_dir(folder.path("tenants.d")).unwrap();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn load(&self) -> Result<Settings, Problems> {
        let none: [(OsString, OsString); 0] = [];
        config::load_with(&self.path("pgtenant.toml"), none)
    }

    /// What is said about it, without the folder's name.
    fn problems(&self) -> Vec<String> {
        let text = self.load().unwrap_err().to_string();
        let folder = format!("{}/", self.0.path().display());
        text.replace(&folder, "")
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

fn ids(directory: &Directory) -> Vec<String> {
    let mut ids: Vec<_> = directory.tenants().map(|t| t.id.to_string()).collect();
    ids.sort();
    ids
}

// The folder.

#[test]
fn files_of_the_folder_add_tenants_and_logins() {
    let folder = Folder::with_parts();
    folder.put("tenants.d/b.toml", &(tenant("b") + &login("b_app", "a")));
    folder.put("tenants.d/a.toml", &(tenant("a") + &login("a_app", "b")));
    // Not of the form `*.toml`, or hidden as editors' and Kubernetes' own are.
    folder.put("tenants.d/notes.txt", "not TOML");
    folder.put("tenants.d/.#a.toml", "not TOML");
    std::fs::create_dir(folder.path("tenants.d/more.toml")).unwrap();
    let settings = folder.load().unwrap();
    assert_eq!(ids(&settings.directory), ["a", "b"]);
    let of = |user: &str| {
        settings
            .directory
            .find(user)
            .unwrap()
            .principal
            .tenant
            .id
            .to_string()
    };
    assert_eq!((of("a_app"), of("b_app")), ("b".into(), "a".into()));
    assert!(settings.directory.is_complete());
}

#[test]
fn problems_of_a_file_in_the_folder_name_that_file() {
    let folder = Folder::with_parts();
    let main = std::fs::read_to_string(folder.path("pgtenant.toml")).unwrap();
    folder.put("pgtenant.toml", &(main + &tenant("a") + &login("app", "a")));
    folder.put("tenants.d/1.toml", &tenant("a"));
    folder.put(
        "tenants.d/2.toml",
        &(login("app", "a") + &login("other", "z")),
    );
    folder.put("tenants.d/3.toml", "[[tenants]\n");
    folder.put("tenants.d/4.toml", "[pool]\nsize = 1\n");
    folder.put(
        "tenants.d/5.toml",
        "[[tenants]]\nid = \"A\"\nstate = \"activ\"\n",
    );
    let problems = folder.problems();
    let expected = [
        "tenants.d/3.toml:1:",
        "tenants.d/1.toml: tenants[0].id = \"a\": is the id of tenants[0] already",
        "tenants.d/5.toml: tenants[0].state = \"activ\": must be one of",
        "tenants.d/2.toml: logins[0].user = \"app\": is the user of logins[0] already",
        "tenants.d/2.toml: logins[1].tenant = \"z\": no tenant has this id",
        "tenants.d/4.toml: pool: unknown key",
    ];
    for (problem, start) in problems.iter().zip(expected) {
        assert!(problem.starts_with(start), "{problem:?} is not {start:?}");
    }
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let folder = Folder::with_parts();
    std::fs::remove_dir(folder.path("tenants.d")).unwrap();
    let problems = folder.problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("tenants.d: cannot read the folder of directory.folder"));
}

#[test]
fn wrong_keys_of_the_directory_are_named() {
    let folder = Folder::new(&format!(
        "{SMALL}[directory]\nfolders = \"x\"\nwatch = 1\n[directory.sql]\nserver = \"other\"\n\
         password = \"a\"\npassword_env = \"B\"\nrefresh = \"1ms\"\nmost = 0\n"
    ));
    let problems = folder.problems().join("\n");
    for part in [
        "directory.folders: unknown key; did you mean `folder`?",
        "directory.watch = 1: must be true or false",
        "directory.sql.server = \"other\": no section [servers.NAME] has this name",
        "directory.sql.database: is missing",
        "directory.sql.user: is missing",
        "directory.sql: has password and password_env: keep one of them",
        "directory.sql.tenants: is missing",
        "directory.sql.refresh = \"1ms\": must be a length of time",
        "directory.sql.most = 0: must be a whole number",
    ] {
        assert!(problems.contains(part), "{part:?} is not in\n{problems}");
    }
}

#[test]
fn the_role_that_tenants_share_does_not_read_the_logins() {
    let sql = "[directory.sql]\nserver = \"main\"\ndatabase = \"d\"\nuser = \"wellness_app\"\n";
    let folder = Folder::new(&format!("{SMALL}{sql}tenants = \"SELECT 1\"\n"));
    folder.load().unwrap();
    folder.put(
        "pgtenant.toml",
        &format!("{SMALL}{sql}logins = \"SELECT 1\"\n"),
    );
    let problems = folder.problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains("directory.sql: its user is that of [servers.main]"));
}

#[test]
fn the_examples_load() {
    let authority = pgtenant::throwaway::Authority::new("CA").unwrap();
    let server = authority.server(&["localhost"]).unwrap();
    for (name, example) in [
        ("folder", include_str!("../config/directory-folder.toml")),
        ("sql", include_str!("../config/directory-sql.toml")),
    ] {
        let folder = Folder::new(example);
        folder.put("server.crt", &server.certificate_pem);
        folder.put("server.key", &server.key_pem);
        private(&folder.path("server.key"));
        folder.put("server-ca.crt", &authority.certificate_pem());
        std::fs::create_dir(folder.path("tenants.d")).unwrap();
        folder.put(
            "tenants.d/innovate.toml",
            include_str!("../config/tenants.d/innovate.toml"),
        );
        folder.put(
            "tenants.d/synergy.toml",
            include_str!("../config/tenants.d/synergy.toml"),
        );
        let passwords = ["WELLNESS_APP_PASSWORD", "TENANT_DIRECTORY_PASSWORD"];
        let environment = passwords.map(|name| (OsString::from(name), OsString::from("x")));
        let settings = config::load_with(&folder.path("pgtenant.toml"), environment).unwrap();
        let (tenants, is_sql) = (settings.tenants.len(), settings.sources.sql.is_some());
        assert_eq!(
            (tenants, is_sql),
            if name == "sql" { (0, true) } else { (2, false) }
        );
        assert_eq!(settings.directory.is_complete(), !is_sql);
    }
}

fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

// Noticing changes of files.

/// Does it and waits until it is noticed.
async fn noticed(folder: &Folder, watch: &mut Watch, act: impl FnOnce()) {
    watch.follow(&folder.load().unwrap().files);
    act();
    timeout(PATIENCE, watch.changed())
        .await
        .expect("a change that is not noticed");
}

#[test]
fn changes_of_files_are_noticed() {
    let folder = Folder::with_parts();
    let main = std::fs::read_to_string(folder.path("pgtenant.toml")).unwrap();
    let main = main.replace("user =", "password_file = \"app.password\"\nuser =");
    folder.put("pgtenant.toml", &main);
    folder.put("app.password", "one");
    let mut watch = Watch::new(&folder.load().unwrap().files);
    run(async {
        let text = format!("# A comment.\n{main}");
        noticed(&folder, &mut watch, || folder.put("pgtenant.toml", &text)).await;
        noticed(&folder, &mut watch, || {
            folder.put("app.password", "another");
        })
        .await;
        noticed(&folder, &mut watch, || {
            folder.put("tenants.d/a.toml", &tenant("a"));
        })
        .await;
        noticed(&folder, &mut watch, || {
            folder.put("tenants.d/a.toml", &tenant("abc"));
        })
        .await;
        let (from, to) = (folder.path("new"), folder.path("tenants.d/a.toml"));
        folder.put("new", &tenant("xyz"));
        noticed(&folder, &mut watch, || std::fs::rename(&from, &to).unwrap()).await;
        noticed(&folder, &mut watch, || std::fs::remove_file(&to).unwrap()).await;
    });
}

#[test]
fn a_file_that_does_not_belong_to_the_configuration_is_no_change() {
    let folder = Folder::with_parts();
    let settings = folder.load().unwrap();
    folder.put("tenants.d/notes.txt", "a note");
    folder.put("other.toml", "");
    assert!(!settings.files.have_changed());
    folder.put("tenants.d/a.toml", &tenant("a"));
    assert!(settings.files.have_changed());
}

#[test]
fn a_change_between_reading_and_watching_is_noticed() {
    let folder = Folder::with_parts();
    let settings = folder.load().unwrap();
    folder.put("tenants.d/a.toml", &tenant("a"));
    run(async {
        let mut watch = Watch::new(&settings.files);
        timeout(PATIENCE, watch.changed()).await.unwrap();
    });
}

#[test]
fn a_configuration_that_did_not_load_is_watched_too() {
    let folder = Folder::with_parts();
    folder.put("tenants.d/a.toml", "[[tenants]");
    let problems = folder.load().unwrap_err();
    run(async {
        let mut watch = Watch::new(problems.files());
        folder.put("tenants.d/a.toml", &tenant("a"));
        timeout(PATIENCE, watch.changed()).await.unwrap();
    });
    assert_eq!(ids(&folder.load().unwrap().directory), ["a"]);
}

#[test]
fn links_that_are_made_anew_are_noticed() {
    use std::os::unix::fs::symlink;
    // As Kubernetes lays out the files of a ConfigMap or Secret.
    let folder = Folder::with_parts();
    for (version, password) in [("..1", "one"), ("..2", "two")] {
        std::fs::create_dir(folder.path(version)).unwrap();
        folder.put(&format!("{version}/app.password"), password);
    }
    symlink("..1", folder.path("..data")).unwrap();
    symlink("..data/app.password", folder.path("app.password")).unwrap();
    // And as certificates are renewed elsewhere.
    std::fs::create_dir(folder.path("archive")).unwrap();
    std::fs::create_dir(folder.path("live")).unwrap();
    let parts = [("archive/1", "a"), ("archive/2", "b")];
    for (path, id) in parts {
        folder.put(path, &tenant(id));
    }
    symlink("../archive/1", folder.path("live/tenant")).unwrap();
    symlink("../live/tenant", folder.path("tenants.d/a.toml")).unwrap();
    let main = std::fs::read_to_string(folder.path("pgtenant.toml")).unwrap();
    let main = main.replace("user =", "password_file = \"app.password\"\nuser =");
    folder.put("pgtenant.toml", &main);
    let replace = |target: &str, link: &str| {
        symlink(target, folder.path("link")).unwrap();
        std::fs::rename(folder.path("link"), folder.path(link)).unwrap();
    };
    let mut watch = Watch::new(&folder.load().unwrap().files);
    run(async {
        noticed(&folder, &mut watch, || replace("..2", "..data")).await;
        noticed(&folder, &mut watch, || {
            replace("../archive/2", "live/tenant");
        })
        .await;
    });
    assert_eq!(ids(&folder.load().unwrap().directory), ["b"]);
}

// The database.

/// A database with the mission's tables that is a directory, as
/// `config/directory.sql` makes it.
struct Source<'a> {
    site: &'a Site,
    database: String,
    folder: Folder,
}

const VIEWS: &str = "tenants = \"SELECT * FROM tenant_directory.tenants\"\n\
                     logins = \"SELECT * FROM tenant_directory.logins\"\n\
                     channel = \"pgtenant_directory\"\n";

impl<'a> Source<'a> {
    fn new(site: &'a Site) -> Self {
        let database = site.fresh_database();
        // Roles are those of the server, and there is a database for each test.
        let role = |before: &str| format!("{before}directory_of_{database}");
        let sql = include_str!("../config/directory.sql")
            .replace("CREATE ROLE tenant_directory", &role("CREATE ROLE "))
            .replace("TO tenant_directory", &role("TO "));
        let password = [("password", site.app_password.as_str())];
        site.cluster.psql_with(&database, &sql, &password).unwrap();
        Self {
            site,
            database,
            folder: Folder::new(""),
        }
    }

    /// Settings with these keys of `[directory.sql]`, and what is to follow.
    fn settings(&self, keys: &str, more: &str) -> Settings {
        self.write(keys, more);
        self.folder.load().unwrap()
    }

    fn write(&self, keys: &str, more: &str) {
        let text = format!(
            r#"
[listen]
address = "127.0.0.1:0"
[tls]
mode = "off"
[servers.main]
host = "127.0.0.1"
port = {port}
ca = {ca:?}
user = "wellness_app"
password = {password:?}
[isolation.wellness]
kind = "setting"
server = "main"
database = "{database}"
setting = "session.current_organization_id"
[directory.sql]
server = "main"
database = "{database}"
user = "directory_of_{database}"
password = {password:?}
{keys}
{more}"#,
            port = self.site.cluster.port(),
            ca = self.site.ca_file(),
            password = self.site.app_password,
            database = self.database,
        );
        self.folder.put("pgtenant.toml", &text);
    }

    fn sql(&self, sql: &str) -> String {
        self.site.sql(&self.database, sql)
    }

    fn add_account(&self, login: &str, organization: &str) {
        let verifier = &self.site.login_verifier;
        self.sql(&format!(
            "INSERT INTO tenant_directory.accounts VALUES ('{login}', '{organization}', '{verifier}')"
        ));
    }
}

/// Reads the directory once; tells what was left out.
fn read(settings: &mut Settings) -> Result<Vec<String>, LoadError> {
    let problems = run(complete(settings))?;
    Ok(problems.iter().map(ToString::to_string).collect())
}

#[test]
fn rows_are_tenants_and_logins() {
    let source = Source::new(site());
    source.add_account("app", INNOVATE);
    source.sql(&format!(
        "INSERT INTO tenant_directory.overrides VALUES \
         ('{SYNERGY}', 'suspended', 5, 2, '3s', '{{10.1.0.0/16,2001:db8::/32}}')"
    ));
    let mut settings = source.settings(VIEWS, "");
    assert!(!settings.directory.is_complete());
    assert_eq!(read(&mut settings).unwrap(), [""; 0]);
    let directory = &settings.directory;
    assert!(directory.is_complete());
    let of = directory.find("app").unwrap().principal.tenant.clone();
    assert_eq!(
        (of.id.as_str(), of.name.as_str()),
        (INNOVATE, "Innovate Inc.")
    );
    assert_eq!(of.standing, Standing::Active);
    let synergy = directory.tenant(&TenantId::parse(SYNERGY)).unwrap();
    assert_eq!(synergy.standing, Standing::Suspended);
    assert_eq!(synergy.limits.max_clients, Some(5));
    assert_eq!(synergy.limits.pool_size, Some(2));
    assert_eq!(
        synergy.limits.timeouts.statement_timeout,
        Some(std::time::Duration::from_secs(3))
    );
    let nets: Vec<_> = synergy
        .limits
        .allowed
        .networks
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(nets, ["10.1.0.0/16", "2001:db8::/32"]);
    assert_eq!(settings.tenants.len(), directory.tenants().count());
}

/// A row: the columns of `ROW`, each with a value or without.
type Row = [Option<&'static str>; 5];

const ROW: [&str; 5] = ["id", "isolation", "schema", "database", "state"];

fn rows_of(rows: &[Row]) -> Rows {
    let mut all = Rows::new(ROW.map(str::to_owned));
    for cell in rows.iter().flatten() {
        let cell = cell.map_or(Cell::Absent, |text| Cell::Text(text.into()));
        all.push(&cell).unwrap();
    }
    all
}

fn any_row() -> impl Strategy<Value = Row> {
    let of = |values: &'static [&'static str]| proptest::option::weighted(0.9, select(values));
    (
        of(&[
            "a", "A", "b", "c", "d", "1", "01", INNOVATE, "", "pg_x", "x\0",
        ]),
        of(&["wellness", "branches", "silo", "nowhere"]),
        of(&["a", "b", "shared", "pg_a", "A", ""]),
        of(&["a", "b", "branches", "wellness_corp_db"]),
        of(&["active", "suspended", "none"]),
    )
        .prop_map(|(id, isolation, schema, database, state)| {
            [id, isolation, schema, database, state]
        })
}

/// The tenants, in the order of their ids.
fn sorted(directory: &Directory) -> Vec<SharedTenant> {
    let mut tenants: Vec<_> = directory.tenants().cloned().collect();
    tenants.sort_by(|one, other| one.id.cmp(&other.id));
    tenants
}

/// What reaches a tenant's data, with integers as a cast reads them.
fn meaning(placement: &Placement) -> (Endpoint, String) {
    let text = match &placement.attachment {
        Attachment::Setting { value, .. } => value.trim_start_matches('0'),
        Attachment::Schema { search_path } => search_path,
        Attachment::Database => "",
    };
    (placement.endpoint.clone(), text.to_owned())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_never_make_two_tenants_one(
        first in proptest::collection::vec(any_row(), 0..12),
        second in proptest::collection::vec(any_row(), 0..12),
    ) {
        fn load() -> Settings {
            let kinds = "[isolation.branches]\nkind = \"schema\"\nserver = \"main\"\n\
                         database = \"branches\"\nsearch_path = [\"{schema}\", \"shared\"]\n\
                         [isolation.silo]\nkind = \"database\"\nserver = \"main\"\n\
                         database = \"{database}\"\n\
                         [[tenants]]\nid = \"d\"\nisolation = \"branches\"\nschema = \"d\"\n";
            Folder::new(&format!("{SMALL}{kinds}")).load().unwrap()
        }
        static SETTINGS: LazyLock<Settings> = LazyLock::new(load);
        // The same, which has read none of the rows.
        static OTHERS: LazyLock<Settings> = LazyLock::new(load);
        let mut before = Incumbents::default();
        let both: Vec<_> = first.iter().rev().chain(&second).copied().collect();
        for rows in [&first, &second, &both] {
            let tenants = Arc::new(rows_of(rows));
            let snapshot = Snapshot { tenants, ..Snapshot::default() };
            let built = SETTINGS.directory_builder.build(Some(&snapshot), &before);
            let anew = OTHERS.directory_builder.build(Some(&snapshot), &before);
            prop_assert_eq!(sorted(&built.directory), sorted(&anew.directory));
            let said = |built: &Built| built.problems.iter().map(ToString::to_string).collect::<Vec<_>>();
            prop_assert_eq!(said(&built), said(&anew));
            // Each row is there or was told of; the file's tenant is there.
            let of_rows = built.directory.tenants().count() - 1;
            prop_assert!(of_rows <= rows.len());
            prop_assert!(of_rows + built.problems.len() >= rows.len());
            prop_assert!(built.directory.tenant(&TenantId::parse("d")).is_some());
            let tenants: Vec<_> = built.directory.tenants().collect();
            for (i, one) in tenants.iter().enumerate() {
                for other in &tenants[..i] {
                    let (one, other) = (&one.placement, &other.placement);
                    prop_assert_ne!(meaning(one), meaning(other));
                    let alone = one.attachment == Attachment::Database
                        || other.attachment == Attachment::Database;
                    prop_assert!(!alone || one.endpoint != other.endpoint);
                }
            }
            before = built.incumbents;
        }
    }
}

/// A configuration whose tenants are kept apart by schema, whose rows are these.
fn schemas(source: &Source<'_>, columns: &str, rows: &str, more: &str) -> Settings {
    let tenants = format!("tenants = \"SELECT * FROM (VALUES {rows}) AS t ({columns})\"\n");
    let isolation = format!(
        "[isolation.branches]\nkind = \"schema\"\nserver = \"main\"\ndatabase = \"branches\"\n\
         search_path = [\"{{schema}}\", \"shared\"]\n\
         [isolation.silo]\nkind = \"database\"\nserver = \"main\"\ndatabase = \"{{database}}\"\n{more}"
    );
    source.settings(&tenants, &isolation)
}

#[test]
fn rows_that_are_not_valid_are_left_out_and_the_others_hold() {
    let source = Source::new(site());
    let rows = "('a', 'branches', 'a', NULL, NULL), \
                ('b', 'branches', 'a', NULL, NULL), \
                ('c', 'branches', NULL, NULL, NULL), \
                ('d', 'branch', 'd', NULL, NULL), \
                ('e', 'branches', 'shared', NULL, NULL), \
                ('f', 'branches', 'pg_f', NULL, NULL), \
                ('g', 'branches', 'g', NULL, 'dormant'), \
                ('h', 'silo', NULL, 'branches', NULL), \
                ('i', 'silo', NULL, 'i', 'read-only'), \
                ('i', 'silo', NULL, 'i2', NULL), \
                (NULL, 'silo', NULL, 'j', NULL), \
                ('file', 'silo', NULL, 'k', NULL), \
                ('l', 'silo', NULL, 'of_file', NULL), \
                ('m', 'branches', 'm', 'unused', NULL)";
    let columns = "id, isolation, schema, database, state";
    let more = "[[tenants]]\nid = \"file\"\nisolation = \"silo\"\ndatabase = \"of_file\"\n";
    let mut settings = schemas(&source, columns, rows, more);
    let problems = read(&mut settings).unwrap();
    assert_eq!(ids(&settings.directory), ["a", "file", "i", "m"]);
    let file = settings.directory.tenant(&TenantId::parse("file")).unwrap();
    assert_eq!(&*file.placement.endpoint.database, "of_file");
    for (row, reason) in [
        ("\"b\"", "would have schema \"a\""),
        ("\"c\"", "schema: is missing"),
        (
            "\"d\"",
            "isolation = \"branch\": no section [isolation.NAME] has this name",
        ),
        ("\"e\"", "which all tenants of an isolation share"),
        ("\"f\"", "is a schema of PostgreSQL itself"),
        ("\"g\"", "state = \"dormant\": must be one of"),
        ("\"h\"", "would have database \"branches\""),
        (
            "\"i\"",
            "the id is that of directory.sql.tenants, row \"i\" already",
        ),
        ("11", "id: is missing"),
        ("\"file\"", "the id is that of tenants[0] already"),
        ("\"l\"", "would have database \"of_file\""),
    ] {
        let start = format!("directory.sql.tenants, row {row}: ");
        let of_row = problems
            .iter()
            .filter(|problem| problem.starts_with(&start));
        let said: Vec<_> = of_row.filter(|problem| problem.contains(reason)).collect();
        assert_eq!(said.len(), 1, "{row}: {reason} in {problems:#?}");
    }
    assert_eq!(problems.len(), 11, "{problems:#?}");
}

#[test]
fn logins_and_tenants_may_be_of_different_sources() {
    let source = Source::new(site());
    let of = |user: &str, tenant: &str| format!("('{user}', '{tenant}', '{SCRAM}')");
    let rows = [
        of("row", "file"),
        of("row", INNOVATE),
        of("mine", INNOVATE),
        of("stray", "nobody"),
        format!("('bad', '{INNOVATE}', 'md5')"),
    ];
    let rows = rows.join(", ");
    let logins = format!("SELECT * FROM (VALUES {rows}) AS t (\"user\", tenant, scram)");
    let keys = format!(
        "tenants = \"SELECT id, name FROM tenant_directory.tenants\"\nlogins = {logins:?}\n"
    );
    let more = tenant("file") + &login("mine", SYNERGY) + &login("later", "nowhere");
    let mut settings = source.settings(&keys, &more);
    let problems = read(&mut settings).unwrap();
    let directory = &settings.directory;
    let of = |user: &str| {
        directory
            .find(user)
            .map(|l| l.principal.tenant.id.to_string())
    };
    assert_eq!(of("row").as_deref(), Some("file"));
    assert_eq!(of("mine").as_deref(), Some(SYNERGY));
    assert_eq!((of("stray"), of("bad"), of("later")), (None, None, None));
    let text = problems.join("\n");
    for part in [
        "logins[1]: no tenant that is valid has the id \"nowhere\"",
        "row \"row\": the user is that of directory.sql.logins, row \"row\" already",
        "row \"mine\": the user is that of logins[0] already",
        "row \"stray\": no tenant that is valid has the id \"nobody\"",
        "row \"bad\": scram: not a SCRAM-SHA-256 verifier",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert_eq!(problems.len(), 5, "{text}");
}

#[test]
fn logins_of_every_source_say_what_is_recorded_of_them() {
    let source = Source::new(site());
    let row = |user: &str, audit: &str| format!("('{user}', '{INNOVATE}', '{SCRAM}', {audit})");
    let rows = [
        row("row", "'write'"),
        row("plain", "NULL"),
        row("wrong", "'everything'"),
    ];
    let rows = rows.join(", ");
    let logins = format!("SELECT * FROM (VALUES {rows}) AS t (\"user\", tenant, scram, audit)");
    let keys = format!(
        "tenants = \"SELECT id, name FROM tenant_directory.tenants\"\nlogins = {logins:?}\n"
    );
    let more = login("file", SYNERGY) + "audit = \"all\"\n";
    let mut settings = source.settings(&keys, &more);
    let problems = read(&mut settings).unwrap();
    let of = |user: &str| {
        let login = settings.directory.find(user);
        login.map(|login| login.principal.limits.audit())
    };
    assert_eq!(of("row"), Some(Some(Statements::Write)));
    assert_eq!(of("plain"), Some(None));
    assert_eq!(of("file"), Some(Some(Statements::All)));
    assert_eq!(of("wrong"), None);
    assert!(
        matches!(&*problems, [one] if one.contains("row \"wrong\": audit")),
        "{problems:#?}"
    );
}

#[test]
fn logins_of_every_source_may_be_for_a_replica() {
    let source = Source::new(site());
    let row = |user: &str, server: &str| format!("('{user}', '{INNOVATE}', '{SCRAM}', {server})");
    let rows = [
        row("row", "'replica'"),
        row("plain", "NULL"),
        row("misspelt", "'replicas'"),
        row("astray", "'stranger'"),
    ];
    let rows = rows.join(", ");
    let logins = format!("SELECT * FROM (VALUES {rows}) AS t (\"user\", tenant, scram, server)");
    let keys = format!(
        "tenants = \"SELECT id, name FROM tenant_directory.tenants\"\nlogins = {logins:?}\n"
    );
    let server = |name: &str, lines: &str| {
        format!(
            "[servers.{name}]\nhost = {name:?}\ntls = \"off\"\nuser = \"wellness_app\"\n{lines}\n"
        )
    };
    let more = login("file", SYNERGY)
        + "server = \"replica\"\n"
        + &login("strange_file", SYNERGY)
        + "server = \"stranger\"\n"
        + &server("replica", "replica_of = \"main\"")
        + &server("stranger", "target = \"replica\"");
    let mut settings = source.settings(&keys, &more);
    let problems = read(&mut settings).unwrap();
    let of = |user: &str| {
        let login = settings.directory.find(user)?;
        Some(login.principal.tenant.placement.endpoint.server.as_str())
    };
    assert_eq!(of("row"), Some("replica"));
    assert_eq!(of("plain"), Some("main"));
    assert_eq!(of("file"), Some("replica"));
    for (user, said) in [
        ("misspelt", "no section [servers.NAME] has this name"),
        ("astray", "is not known to be a replica of \"main\""),
        ("strange_file", "is not known to be a replica of \"main\""),
    ] {
        assert_eq!(of(user), None, "{user}");
        let told = problems.iter().filter(|problem| problem.contains(said));
        assert!(told.count() > 0, "{user}: {problems:#?}");
    }
    assert_eq!(problems.len(), 3, "{problems:#?}");
}

#[test]
fn logins_of_every_source_may_have_a_profile() {
    let source = Source::new(site());
    let row = |user: &str, profile: &str| format!("('{user}', '{INNOVATE}', '{SCRAM}', {profile})");
    let rows = [
        row("row", "'bi'"),
        row("plain", "NULL"),
        row("misspelt", "'ib'"),
        row("astray", "'far'"),
    ];
    let rows = rows.join(", ");
    let logins = format!("SELECT * FROM (VALUES {rows}) AS t (\"user\", tenant, scram, profile)");
    let keys = format!(
        "tenants = \"SELECT id, name FROM tenant_directory.tenants\"\nlogins = {logins:?}\n"
    );
    let more = "[servers.stranger]\nhost = \"stranger\"\ntls = \"off\"\nuser = \"wellness_app\"\n\
                [profiles.bi]\nread_only = true\n[profiles.far]\nserver = \"stranger\"\n";
    let more = login("file", SYNERGY) + "profile = \"bi\"\n" + more;
    let mut settings = source.settings(&keys, &more);
    let problems = read(&mut settings).unwrap();
    let reads_only = |user: &str| {
        let login = settings.directory.find(user)?;
        Some(login.principal.limits.is_read_only())
    };
    assert_eq!(reads_only("row"), Some(true));
    assert_eq!(reads_only("plain"), Some(false));
    assert_eq!(reads_only("file"), Some(true));
    for (user, said) in [
        ("misspelt", "no section [profiles.NAME] has the name \"ib\""),
        ("astray", "is not known to be a replica of \"main\""),
    ] {
        assert_eq!(reads_only(user), None, "{user}");
        let told = problems.iter().filter(|problem| problem.contains(said));
        assert!(told.count() > 0, "{user}: {problems:#?}");
    }
    assert_eq!(problems.len(), 2, "{problems:#?}");
}

#[test]
fn values_of_many_types_are_read() {
    let source = Source::new(site());
    source.sql("CREATE TYPE state AS ENUM ('active', 'read-only'); CREATE DOMAIN id AS uuid");
    let row = |columns: &str| {
        let keys = format!("tenants = \"SELECT {columns}\"\n");
        let mut settings = source.settings(&keys, "");
        assert_eq!(read(&mut settings).unwrap(), [""; 0], "{columns}");
        settings.tenants[0].clone()
    };
    assert_eq!(row("7::bigint AS id").id.as_str(), "7");
    assert_eq!(row("7::smallint AS id").id.as_str(), "7");
    assert_eq!(row("'a'::varchar AS id, 'b'::name AS name").name, "b");
    assert_eq!(
        row(&format!("'{INNOVATE}'::id AS id")).id.as_str(),
        INNOVATE
    );
    assert_eq!(
        row("'a' AS id, 'read-only'::state AS state").standing,
        Standing::ReadOnly
    );
    assert_eq!(
        row("'a' AS id, true AS read_only").standing,
        Standing::ReadOnly
    );
    assert_eq!(row("'a' AS id, 9 AS pool_size").limits.pool_size, Some(9));
    for allowed in [
        "'10.0.0.0/8'::inet",
        "'{10.0.0.0/8}'::inet[]",
        "'{10.0.0.0/8}'::text[]",
    ] {
        let allowed = row(&format!("'a' AS id, {allowed} AS allowed"))
            .limits
            .allowed
            .clone();
        assert_eq!(allowed.networks[0].to_string(), "10.0.0.0/8");
    }
}

#[test]
fn an_answer_that_cannot_be_used_is_refused_as_a_whole() {
    let source = Source::new(site());
    source.sql("CREATE TABLE public.log (id text)");
    source.sql(&format!(
        "GRANT INSERT ON public.log TO directory_of_{}",
        source.database
    ));
    for (query, reason) in [
        (
            "SELECT 'a' AS id, 'b' AS stat",
            "column \"stat\" is no key of [[tenants]]; did you mean `state`?",
        ),
        ("SELECT 'a' AS name", "there is no column \"id\""),
        (
            "SELECT 'a' AS id, 'b' AS id",
            "there are two columns \"id\"",
        ),
        (
            "SELECT now() AS id",
            "column \"id\" is of type timestamptz, which cannot be read: cast it to text",
        ),
        ("SELECT $1 AS id", "it has parameters"),
        (
            "SELECT 'a' AS id; SELECT 'b' AS id",
            "cannot insert multiple commands into a prepared statement",
        ),
        (
            "INSERT INTO public.log VALUES ('a') RETURNING id",
            "in a read-only transaction",
        ),
        (
            "SELECT id FROM nowhere",
            "relation \"nowhere\" does not exist",
        ),
        (
            "SELECT n AS id FROM generate_series(1, 6) AS n",
            "there are more than 5 rows",
        ),
        (
            "SELECT (1 / (n - 3))::text AS id FROM generate_series(1, 4) AS n",
            "division by zero",
        ),
        ("COMMIT", "there is no column \"id\""),
        (
            "SELECT rolpassword AS id FROM pg_authid",
            "permission denied",
        ),
    ] {
        let mut settings = source.settings(&format!("tenants = {query:?}\nmost = 5\n"), "");
        let error = read(&mut settings).unwrap_err().to_string();
        assert!(error.starts_with("directory.sql.tenants: "), "{error}");
        assert!(error.contains(reason), "{query}: {error}");
        assert!(!settings.directory.is_complete());
    }
    assert_eq!(source.sql("SELECT count(*) FROM public.log"), "0");
}

/// The next directory that is as it should be.
async fn next(follower: &mut Follower, what: &str, is: impl Fn(&Directory) -> bool) -> Directory {
    let wait = async {
        loop {
            let directory = follower.changed().await;
            if is(&directory) {
                return directory;
            }
        }
    };
    let found = timeout(PATIENCE, wait).await;
    found.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

#[test]
fn a_notification_brings_the_next_directory() {
    let source = Source::new(site());
    // Nothing but a notification can bring it within this test.
    let mut settings = source.settings(&format!("{VIEWS}refresh = \"1day\"\n"), "");
    run(async {
        let mut follower = Follower::new();
        adopt(&mut follower, &mut settings).await;
        assert!(settings.directory.is_complete());
        assert!(settings.directory.find("app").is_none());
        let before = settings.directory;
        source.add_account("app", INNOVATE);
        let added = next(&mut follower, "the login", |d| d.find("app").is_some()).await;
        // What has not changed is the same tenant.
        let id = TenantId::parse(SYNERGY);
        let (one, other) = (before.tenant(&id).unwrap(), added.tenant(&id).unwrap());
        assert!(Arc::ptr_eq(one, other));
        source.sql(&format!(
            "INSERT INTO tenant_directory.overrides VALUES ('{INNOVATE}', 'read-only')"
        ));
        let standing = |d: &Directory| d.find("app").map(|l| l.principal.tenant.standing);
        let is = |d: &Directory| standing(d) == Some(Standing::ReadOnly);
        next(&mut follower, "the state", is).await;
        source.sql("TRUNCATE tenant_directory.accounts");
        next(&mut follower, "no logins", Directory::is_empty).await;
    });
}

#[test]
fn without_notifications_the_directory_is_refreshed() {
    let source = Source::new(site());
    let keys = VIEWS.replace("channel", "# channel");
    let mut settings = source.settings(&format!("{keys}refresh = \"1s\"\n"), "");
    run(async {
        let mut follower = Follower::new();
        adopt(&mut follower, &mut settings).await;
        source.add_account("app", INNOVATE);
        next(&mut follower, "the login", |d| d.find("app").is_some()).await;
    });
}

#[test]
fn whoever_was_there_keeps_what_a_newer_row_claims() {
    let source = Source::new(site());
    source.sql(&format!(
        "CREATE TABLE branches (id text, schema text, at int);
         CREATE TABLE people (login text, branch text, at int);
         INSERT INTO branches VALUES ('old', 's', 2);
         INSERT INTO people VALUES ('bob', 'old', 2);
         GRANT SELECT ON branches, people TO directory_of_{}",
        source.database
    ));
    let logins = format!(
        "SELECT login AS \"user\", branch AS tenant, '{SCRAM}' AS scram FROM people ORDER BY at"
    );
    let keys = format!(
        "tenants = \"SELECT id, schema FROM branches ORDER BY at\"\nlogins = {logins:?}\n\
         channel = \"c\"\nrefresh = \"1day\"\n"
    );
    let isolation = "[isolation.b]\nkind = \"schema\"\nserver = \"main\"\ndatabase = \"b\"\n\
                     search_path = [\"{schema}\"]\n";
    source.write(&keys, isolation);
    let path = source.folder.path("pgtenant.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, tail) = text.split_once("[isolation.wellness]").unwrap();
    let (_, tail) = tail.split_once("[directory.sql]").unwrap();
    source
        .folder
        .put("pgtenant.toml", &format!("{head}[directory.sql]{tail}"));
    let mut settings = source.folder.load().unwrap();
    run(async {
        let mut follower = Follower::new();
        adopt(&mut follower, &mut settings).await;
        assert_eq!(ids(&settings.directory), ["old"]);
        source.sql(
            "INSERT INTO branches VALUES ('new', 's', 1), ('third', 't', 3); \
             INSERT INTO people VALUES ('bob', 'third', 1), ('eve', 'third', 3); NOTIFY c",
        );
        let is = |d: &Directory| d.find("eve").is_some();
        let directory = next(&mut follower, "the third", is).await;
        assert_eq!(ids(&directory), ["old", "third"]);
        let bob = directory.find("bob").unwrap();
        assert_eq!(bob.principal.tenant.id.as_str(), "old");
    });
}

#[test]
fn the_last_content_holds_for_a_time_while_the_database_is_away() {
    let mut site = Site::start();
    let source = Source::new(&site);
    source.add_account("app", INNOVATE);
    let more = tenant("file") + &login("mine", "file");
    let keys = format!("{VIEWS}stale = \"1s\"\n");
    let mut settings = source.settings(&keys, &more);
    let Source {
        folder, database, ..
    } = source;
    run(async {
        let mut follower = Follower::new();
        adopt(&mut follower, &mut settings).await;
        assert!(settings.directory.find("app").is_some());
        site.cluster.stop_fast().unwrap();
        let gone = next(&mut follower, "its end", |d| !d.is_complete()).await;
        assert!(gone.find("app").is_none() && gone.find("mine").is_some());
        assert_eq!(ids(&gone), ["file"]);
        site.cluster.start_again().unwrap();
        next(&mut follower, "its return", |d| {
            d.find("app").is_some() && d.is_complete()
        })
        .await;
    });
    drop((folder, database));
}

#[test]
fn a_reload_keeps_the_rows_while_the_database_is_away() {
    let mut site = Site::start();
    let source = Source::new(&site);
    source.add_account("app", INNOVATE);
    let mut settings = source.settings(VIEWS, "");
    source.write(VIEWS, &tenant("file"));
    let Source { folder, .. } = source;
    run(async {
        let mut follower = Follower::new();
        adopt(&mut follower, &mut settings).await;
        site.cluster.stop_fast().unwrap();
        let mut settings = folder.load().unwrap();
        adopt(&mut follower, &mut settings).await;
        assert_eq!(ids(&settings.directory), [INNOVATE, SYNERGY, "file"]);
        assert!(settings.directory.find("app").is_some());
        assert!(settings.directory.is_complete());
    });
}

#[test]
fn a_reload_with_other_queries_goes_by_their_rows_at_once() {
    let source = Source::new(site());
    source.add_account("app", INNOVATE);
    let mut settings = source.settings(VIEWS, "");
    run(async {
        let mut follower = Follower::new();
        adopt(&mut follower, &mut settings).await;
        assert!(settings.directory.find("app").is_some());
        let others = "tenants = \"SELECT 'other' AS id\"\n";
        let mut settings = source.settings(others, "");
        adopt(&mut follower, &mut settings).await;
        assert_eq!(ids(&settings.directory), ["other"]);
        assert!(settings.directory.is_empty());
        // And without a database there is nothing of it.
        source
            .folder
            .put("pgtenant.toml", &(SMALL.to_owned() + &tenant("file")));
        let mut settings = source.folder.load().unwrap();
        adopt(&mut follower, &mut settings).await;
        assert_eq!(ids(&settings.directory), ["file"]);
        assert!(settings.directory.is_complete());
    });
}

#[test]
fn a_database_that_is_away_at_the_start_is_asked_again() {
    let mut site = Site::start();
    let source = Source::new(&site);
    source.add_account("app", INNOVATE);
    let more = tenant("file") + &login("mine", "file");
    let mut settings = source.settings(VIEWS, &more);
    let Source { folder, .. } = source;
    site.cluster.stop_fast().unwrap();
    run(async {
        let mut follower = Follower::new();
        adopt(&mut follower, &mut settings).await;
        assert!(!settings.directory.is_complete());
        assert_eq!(ids(&settings.directory), ["file"]);
        site.cluster.start_again().unwrap();
        next(&mut follower, "the rows", |d| d.find("app").is_some()).await;
    });
    drop(folder);
}

/// `cargo test --release --test directory -- --ignored --nocapture`
#[test]
#[ignore = "measures"]
#[allow(clippy::print_stderr)]
fn measure_many_tenants() {
    for count in [1_000, 100_000] {
        let source = Source::new(site());
        source.sql(&format!(
            "ALTER TABLE organizations DISABLE TRIGGER USER;
             INSERT INTO organizations (name) SELECT 'Company ' || n
             FROM generate_series(1, {count} - 2) AS n;
             INSERT INTO tenant_directory.accounts SELECT 'app_' || id, id, '{}', created_at
             FROM organizations;
             ALTER TABLE organizations ENABLE TRIGGER USER; ANALYZE",
            source.site.login_verifier
        ));
        let keys = format!("{VIEWS}refresh = \"1day\"\nmost = 200000\n");
        let mut settings = source.settings(&keys, "");
        run(async {
            let begin = std::time::Instant::now();
            let mut follower = Follower::new();
            adopt(&mut follower, &mut settings).await;
            let took = begin.elapsed();
            assert_eq!(settings.directory.len(), count);
            eprintln!("{count} tenants and logins: {took:?} from connecting to the directory");
        });
        drop(settings);
        let proxy = Proxy::run(&source.folder.path("pgtenant.toml"));
        let resident = || {
            let path = format!("/proc/{}/status", proxy.pid());
            let status = std::fs::read_to_string(path).unwrap();
            let lines = status.lines();
            let of = lines.filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"));
            of.collect::<Vec<_>>().join(" ").replace('\t', "")
        };
        eprintln!("{count}: {} after the start", resident());
        for round in 1..=3 {
            let begin = std::time::Instant::now();
            source.sql(&format!(
                "INSERT INTO organizations (name) VALUES ('Later {round}')"
            ));
            proxy.wait_for_log(&format!("tenants={} ", count + round));
            eprintln!(
                "{count}: {} {:?} after change {round}",
                resident(),
                begin.elapsed()
            );
        }
        for line in proxy
            .log()
            .lines()
            .filter(|line| line.contains("has changed"))
        {
            eprintln!("{line}");
        }
    }
}

#[test]
fn check_looks_at_the_tenants_of_the_database() {
    let source = Source::new(site());
    source.add_account("app", INNOVATE);
    source.write(VIEWS, &tenant("file"));
    let check = |more: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_pgtenant"))
            .args(["check", "--config"])
            .arg(source.folder.path("pgtenant.toml"))
            .args(more)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let valid = "configuration is valid: 3 tenants, 1 login\n";
    assert!(check(&[]).starts_with(valid), "{}", check(&[]));
    let valid = "configuration is valid: 1 tenant, 0 logins\n";
    assert!(check(&["--offline"]).starts_with(valid));
}

// The proxy.

fn log_in(proxy: &Proxy, source: &Source<'_>, user: &str) -> Result<Raw, testkit::Fields> {
    let parameters = [("user", user), ("database", source.database.as_str())];
    Raw::log_in(proxy.port, &source.site.login_password, &parameters)
}

#[test]
fn clients_of_the_proxy_go_by_the_database() {
    let source = Source::new(site());
    source.add_account("app", INNOVATE);
    source.write(&format!("{VIEWS}refresh = \"1day\"\n"), "");
    let proxy = Proxy::run(&source.folder.path("pgtenant.toml"));
    let mut client = log_in(&proxy, &source, "app").unwrap();
    let whose = "SELECT current_setting('session.current_organization_id')";
    assert_eq!(client.value(whose), INNOVATE);
    assert_eq!(
        log_in(&proxy, &source, "more").err().unwrap().code(),
        "28P01"
    );
    source.add_account("more", SYNERGY);
    proxy.wait_for_log("logins=2");
    proxy.wait_for_log("has changed changed_logins=\"1 added (more)\"");
    assert_eq!(
        log_in(&proxy, &source, "more").unwrap().value(whose),
        SYNERGY
    );
    source.sql(&format!(
        "INSERT INTO tenant_directory.overrides VALUES ('{INNOVATE}', 'suspended')"
    ));
    let ended = client.until_closed().errors().pop().unwrap();
    assert_eq!(ended.code(), "57P01");
    let changed = format!("has changed changed_tenants=\"1 changed ({INNOVATE})\"");
    proxy.wait_for_log(&changed);
    // Refused, or ended as soon as it is in.
    if let Ok(mut client) = log_in(&proxy, &source, "app") {
        let ended = client.until_closed().errors().pop().unwrap();
        assert_eq!(ended.code(), "57P01");
    }
}

#[test]
fn an_answer_that_is_refused_changes_nothing() {
    let source = Source::new(site());
    source.add_account("app", INNOVATE);
    source.write(&format!("{VIEWS}refresh = \"1day\"\nmost = 4\n"), "");
    let proxy = Proxy::run(&source.folder.path("pgtenant.toml"));
    source.sql(
        "INSERT INTO organizations (name) SELECT 'x' FROM generate_series(1, 5); \
         DELETE FROM tenant_directory.accounts",
    );
    proxy.wait_for_log("directory.sql.tenants: there are more than 4 rows");
    let mut client = log_in(&proxy, &source, "app").unwrap();
    client.run_ok("SELECT 1");
    source.sql("DELETE FROM organizations WHERE name = 'x'");
    proxy.wait_for_log("the queries of the directory work again");
    let ended = client.until_closed().errors().pop().unwrap();
    assert_eq!(ended.code(), "57P01");
    assert_eq!(
        log_in(&proxy, &source, "app").err().unwrap().code(),
        "28P01"
    );
}

#[test]
fn rows_that_are_left_out_are_told_of_once_and_without_secrets() {
    let source = Source::new(site());
    let secret = source.site.login_verifier.clone();
    let logins = format!(
        "SELECT login AS \"user\", organization_id AS tenant, \
         replace(verifier, 'SHA-256', 'SHA-512') AS scram FROM tenant_directory.accounts \
         UNION ALL SELECT 'x', NULL, '{secret}'"
    );
    source.sql(&format!(
        "GRANT SELECT ON tenant_directory.accounts TO directory_of_{}",
        source.database
    ));
    source.add_account("app", INNOVATE);
    let tenants = "SELECT id FROM tenant_directory.tenants";
    let keys = format!(
        "tenants = {tenants:?}\nlogins = {logins:?}\nchannel = \"pgtenant_directory\"\n\
         refresh = \"1day\"\n"
    );
    source.write(&keys, "");
    let proxy = Proxy::run(&source.folder.path("pgtenant.toml"));
    proxy.wait_for_log("row \"app\": scram: not a SCRAM-SHA-256 verifier");
    source.sql(&format!(
        "UPDATE tenant_directory.accounts SET verifier = verifier || 'x'; \
         INSERT INTO organizations VALUES ('{}', 'Another')",
        INNOVATE.replace('1', "7")
    ));
    proxy.wait_for_log("tenants=3");
    let log = proxy.log();
    assert_eq!(log.matches("row \"app\"").count(), 1, "{log}");
    assert_eq!(
        log.matches("row \"x\": tenant: is missing").count(),
        1,
        "{log}"
    );
    // And an error of the server's that quotes one.
    let stored = secret.split('$').nth(2).unwrap();
    let keys = keys.replace("UNION ALL", "WHERE verifier::int = 1 UNION ALL");
    source.write(&keys, "");
    proxy.wait_for_log("directory.sql.logins: (22P02)");
    assert!(!proxy.log().contains(stored), "{log}");
}

#[test]
fn clients_of_the_proxy_are_told_that_the_directory_is_away() {
    let mut site = Site::start();
    let source = Source::new(&site);
    source.add_account("app", INNOVATE);
    let verifier = &site.login_verifier;
    let mine = login("mine", SYNERGY).replace(SCRAM, verifier) + &tenant(SYNERGY);
    source.write(&format!("{VIEWS}stale = \"1s\"\n"), &mine);
    let (folder, database) = (source.folder, source.database);
    let password = site.login_password.clone();
    let log_in = |proxy: &Proxy, user: &str| {
        let parameters = [("user", user), ("database", database.as_str())];
        Raw::log_in(proxy.port, &password, &parameters)
    };
    let proxy = Proxy::run(&folder.path("pgtenant.toml"));
    let mut client = log_in(&proxy, "app").unwrap();
    site.cluster.stop_fast().unwrap();
    proxy.wait_for_log("the tenant directory is not available");
    let told = log_in(&proxy, "app").err().unwrap();
    assert_eq!(told.code(), "57P03");
    assert_eq!(told.message(), "the tenant directory is not available");
    site.cluster.start_again().unwrap();
    // Those of files go on, and a session that was there goes on as it was.
    log_in(&proxy, "mine").unwrap().run_ok("SELECT 1");
    client.run_ok("SELECT 1");
    testkit::wait_until("the directory is back", || log_in(&proxy, "app").is_ok());
}

#[test]
fn the_proxy_goes_by_files_that_change() {
    let source = Source::new(site());
    let verifier = &source.site.login_verifier;
    let isolated = "[directory]\nfolder = \"tenants.d\"\n";
    source.write(VIEWS, "");
    let path = source.folder.path("pgtenant.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, _) = text.split_once("[directory.sql]").unwrap();
    source
        .folder
        .put("pgtenant.toml", &format!("{head}{isolated}"));
    std::fs::create_dir(source.folder.path("tenants.d")).unwrap();
    let proxy = Proxy::run(&path);
    let part = tenant(INNOVATE) + &login("app", INNOVATE).replace(SCRAM, verifier);
    source.folder.put("tenants.d/innovate.toml", &part);
    proxy.wait_for_log("logins=1");
    let mut client = log_in(&proxy, &source, "app").unwrap();
    client.run_ok("SELECT 1");
    // One with a mistake changes nothing, and is watched.
    source
        .folder
        .put("tenants.d/innovate.toml", &format!("{part}[[tenants]]\n"));
    proxy.wait_for_log("innovate.toml: tenants[1].id: is missing");
    client.run_ok("SELECT 1");
    std::fs::remove_file(source.folder.path("tenants.d/innovate.toml")).unwrap();
    let ended = client.until_closed().errors().pop().unwrap();
    assert_eq!(ended.code(), "57P01");
}
