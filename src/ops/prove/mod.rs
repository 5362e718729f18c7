//! Proves to those who run a deployment that it keeps two of its tenants apart: it logs
//! in as both of them, as their applications do, and tries to get at the other's rows.
//!
//! Nothing is planted: the rows are those that are there. What it writes it writes in
//! transactions that are rolled back; nothing of data is ever committed.

mod attacks;
mod cancel;
mod channels;
mod direct;
mod filling;
mod judge;
mod masked;
mod observe;
mod promises;
mod report;
mod residue;
mod role;
mod rows;
mod run;
mod scene;
mod seal;
mod signed;
mod text;
mod transport;
mod wire;
mod writes;

pub use promises::{PROMISES, Promise, promise};
pub use report::{Counts, Outcome, Report, Subject, Test};
pub use signed::{Unproven, verify, write};

use crate::config::{Secret, Server, Settings};
use crate::ops::sql_client::Url;
use crate::tenant::{Attachment, Seal};
use filling::Filling;
use observe::Observer;
use rows::{Compared, compare};
use run::Attacker;
use scene::{Scene, Side};
use std::time::SystemTime;
use wire::Login;

/// What is to be proved, and with what.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The login of one tenant.
    pub login: Url,
    /// The login of another.
    pub other: Url,
    /// A login of the first tenant whose columns are masked.
    pub masked: Option<Url>,
    /// A login past the proxy.
    pub direct: Option<Url>,
    /// The setting that carries the tenant, where it is not found in the policies.
    pub setting: Option<String>,
    /// Tables whose rows are meant for all tenants: `schema.table`.
    pub shared: Vec<String>,
    /// The most tables that are compared.
    pub tables: usize,
    /// The most server connections that the two logins hold at the same time.
    pub connections: usize,
}

/// Why nothing could be proved.
#[derive(Debug, thiserror::Error)]
pub enum Unproved {
    /// A login is not let in.
    #[error("cannot log in as \"{user}\" at {place}: {reason}")]
    Login {
        /// Who.
        user: String,
        /// Where.
        place: String,
        /// Why.
        reason: String,
    },
    /// It cannot be found out what there is.
    #[error("as \"{user}\": a catalog cannot be read: {reason}")]
    Look {
        /// Who.
        user: String,
        /// Why.
        reason: String,
    },
    /// Both logins are of one tenant, or of none.
    #[error(
        "both logins reach the same database as the same role, and no setting differs (looked at: {}): \
         give logins of two tenants, or name the setting that carries the tenant with --setting",
        if .0.is_empty() { "none" } else { .0.as_str() }
    )]
    SameTenant(String),
}

/// What the configuration says of the first login's tenant.
#[derive(Debug, Default)]
struct Configured {
    /// Why it says nothing.
    silence: &'static str,
    setting: Option<String>,
    is_sealed: Option<bool>,
    server: Option<Server>,
}

impl Configured {
    fn new(settings: Option<&Settings>, login: &Login) -> Self {
        let silent = |silence| Self {
            silence,
            ..Self::default()
        };
        let Some(settings) = settings else {
            return silent("no configuration is given (--config)");
        };
        let found = settings.directory.find(login.user());
        let Some(placement) = found.map(|login| &login.principal.tenant.placement) else {
            return silent("the configuration does not know the login");
        };
        let (setting, is_sealed) = match &placement.attachment {
            Attachment::Setting { name, seal, .. } => {
                (Some(name.to_string()), Some(!matches!(seal, Seal::Off)))
            }
            Attachment::Schema { .. } | Attachment::Database => (None, Some(false)),
        };
        Self {
            silence: "",
            setting,
            is_sealed,
            server: settings.servers.get(&placement.endpoint.server).cloned(),
        }
    }
}

/// Runs all tests. `settings` is the proxy's configuration, where it is at hand;
/// `progress` is told what is tried next.
///
/// # Errors
/// [`Unproved`]: then nothing was tried.
pub async fn prove(
    plan: &Plan,
    settings: Option<&Settings>,
    mut progress: impl FnMut(&str),
) -> Result<Report, Unproved> {
    let begun = SystemTime::now();
    let own = resolved(&plan.login).await;
    let other = resolved(&plan.other).await;
    let configured = Configured::new(settings, &own);
    let setting = plan.setting.as_deref().or(configured.setting.as_deref());
    progress("looking at what both logins see");
    let scene = Scene::find(own, other, setting).await?;
    let mut tests = Vec::new();
    let compared = tables(&scene, plan, &mut tests).await?;
    attacks(&scene, plan, &compared, &mut tests, &mut progress).await;
    surroundings(
        &scene,
        plan,
        &configured,
        &compared,
        &mut tests,
        &mut progress,
    )
    .await?;
    let subject = subject(&scene, plan, compared.len()).await;
    let shown = |at: SystemTime| humantime::format_rfc3339_seconds(at).to_string();
    Ok(Report {
        subject,
        begun: shown(begun),
        ended: shown(SystemTime::now()),
        tests,
    })
}

/// The login of a URL, in clear text where the URL makes do with that and there is nothing else.
async fn resolved(url: &Url) -> Login {
    let login = Login::new(url);
    match (url.in_clear_text(), login.reach().await) {
        (Some(server), Err(crate::server::ConnectError::Tls(_))) => Login { server, ..login },
        _ => login,
    }
}

/// Compares the tables that both see, and tries to write the other's rows.
async fn tables(
    scene: &Scene,
    plan: &Plan,
    tests: &mut Vec<Test>,
) -> Result<Vec<Compared>, Unproved> {
    let mut all = Vec::new();
    let mut one = scene::open(&scene.own.login).await?;
    let mut two = scene::open(&scene.other.login).await?;
    for session in [&mut one, &mut two] {
        session.query("SET statement_timeout = '10s'").await;
    }
    for table in scene.own.tables.iter().take(plan.tables) {
        if scene.other.table(table).is_none() {
            continue;
        }
        let is_shared = plan.shared.contains(&table.shown());
        let compared = compare(scene, (&mut one, &mut two), table, is_shared).await;
        tests.push(Test {
            id: format!("rows:{}", table.shown()),
            promise: "D4",
            what: "compare the rows that both logins see, by their places and hashes".to_owned(),
            outcome: compared.outcome.clone(),
        });
        writes::writes(scene, (&mut one, &mut two), &compared, tests).await;
        all.push(compared);
    }
    apart(scene, plan, (&mut one, &mut two), &mut all, tests).await;
    one.close().await;
    two.close().await;
    Ok(all)
}

/// The tables that one of the two may read: the other must not.
async fn apart(
    scene: &Scene,
    plan: &Plan,
    sessions: (&mut wire::Session, &mut wire::Session),
    all: &mut Vec<Compared>,
    tests: &mut Vec<Test>,
) {
    let (one, two) = sessions;
    for is_own in [false, true] {
        let (side, stranger) = match is_own {
            true => (&scene.own, &scene.other),
            false => (&scene.other, &scene.own),
        };
        let alone = side
            .tables
            .iter()
            .filter(|table| stranger.table(table).is_none());
        for table in alone.take(plan.tables) {
            let (sees, tries) = match is_own {
                true => (&mut *one, &mut *two),
                false => (&mut *two, &mut *one),
            };
            let (rows, outcome) = rows::apart(scene.kind, table, sees, tries).await;
            tests.push(Test {
                id: format!("rows:{}", table.shown()),
                promise: "D4",
                what: format!("read it as {}, whose it is not", stranger.login.user()),
                outcome: outcome.clone(),
            });
            let (own, other) = match is_own {
                true => (rows, Vec::new()),
                false => (Vec::new(), rows),
            };
            all.push(Compared {
                table: table.clone(),
                own,
                other,
                outcome,
            });
        }
    }
}

async fn attacks(
    scene: &Scene,
    plan: &Plan,
    compared: &[Compared],
    tests: &mut Vec<Test>,
    progress: &mut impl FnMut(&str),
) {
    let (own, other) = (&scene.own, &scene.other);
    let observer = Observer::new(scene, compared, false);
    let attacker = Attacker {
        side: own,
        kind: scene.kind,
        setting: scene.setting.as_deref(),
        filling: Filling::new(scene, own, other, observer.rows()),
        observer: &observer,
    };
    progress("trying statements and messages");
    for attack in attacks::all() {
        tests.push(attacker.attack(attack).await);
    }
    progress("trying logins");
    let secret = |side: &Side| side.login.password().map(Secret::reveal).map(str::to_owned);
    let same = secret(own) == secret(other);
    for entry in attacks::STARTUP {
        tests.push(attacker.enter(entry, same).await);
    }
    if !observer.is_without_rows() && !is_seen_by(other, &observer).await {
        tests.iter_mut().for_each(judge::take_back);
    }
    progress("looking for what one tenant leaves to the next");
    residue::residues(own, other, plan.connections, tests).await;
    progress("looking at the other tenant's sessions");
    channels::channels(own, other, tests).await;
    progress("cancelling the other tenant's statements");
    cancel::cancels(own, other, tests).await;
}

/// Whether the rows can still be seen by whom they belong to.
async fn is_seen_by(side: &Side, observer: &Observer) -> bool {
    let Ok(mut session) = side.login.open().await else {
        return false;
    };
    let answer = session.query(observer.rows()).await;
    session.close().await;
    observer.has_rows(&answer)
}

async fn surroundings(
    scene: &Scene,
    plan: &Plan,
    configured: &Configured,
    compared: &[Compared],
    tests: &mut Vec<Test>,
    progress: &mut impl FnMut(&str),
) -> Result<(), Unproved> {
    progress("looking at the role, the seal and TLS");
    role::roles(scene, tests).await;
    seal::seal(scene, configured.is_sealed, configured.silence, tests);
    transport::clients(&scene.own, SystemTime::now(), tests).await;
    tests.push(transport::server(&scene.own).await);
    tests.push(transport::configured(
        configured.server.as_ref(),
        configured.silence,
    ));
    let ours = Observer::new(scene, compared, true);
    let theirs = Observer::new(scene, compared, false);
    let direct = match &plan.direct {
        Some(url) => Some(resolved(url).await),
        None => None,
    };
    direct::direct(scene, direct.as_ref(), &ours, &theirs, tests).await;
    let masked = match &plan.masked {
        Some(url) => Some(resolved(url).await),
        None => None,
    };
    masked::masked(scene, masked.as_ref(), plan.tables, tests).await
}

async fn subject(scene: &Scene, plan: &Plan, compared: usize) -> Subject {
    let (own, other) = (&scene.own, &scene.other);
    let secured = transport::secured(&own.login).await;
    let mut databases = vec![own.place.database.clone(), other.place.database.clone()];
    databases.dedup();
    let all = own.tables.len().max(other.tables.len());
    Subject {
        address: own.login.server.hosts.to_string(),
        tls: secured.ok().and_then(|secured| secured.tls),
        kind: scene.kind.word(),
        setting: scene.setting.clone(),
        server_version: own.place.version.clone(),
        databases,
        logins: vec![own.login.user().to_owned(), other.login.user().to_owned()],
        tables: (compared, all.saturating_sub(plan.tables)),
    }
}
