//! Checks of the configuration, which need no server.

use super::catalogue::{Check, configuration as checks};
use super::finding::{Finding, Place};
use super::scope;
use crate::config::{ClientTls, IsolationKind, ServerTls, Settings, Verification};
use crate::guard::{Mode, Permission};
use crate::tenant::Seal;
use std::net::IpAddr;
use std::time::SystemTime;

/// What is to be changed in the configuration.
pub(super) fn check(settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |check: &'static Check, object: String, detail: Option<String>, fix: &str| {
        findings.push(Finding {
            check,
            place: Place::Configuration,
            object,
            detail,
            fix: Some(fix.to_owned()),
        });
    };
    if settings.guard.mode == Mode::Report {
        add(
            &checks::GUARD_REPORTS,
            "guard.mode".into(),
            None,
            "mode = \"enforce\"",
        );
    }
    for (name, isolation) in &settings.isolations {
        if isolation.guard.opaque == Permission::Allow {
            let (check, what) = match isolation.kind {
                IsolationKind::Setting {
                    seal: Seal::Off, ..
                }
                | IsolationKind::Schema {
                    per_tenant_role: false,
                } => (&checks::OPAQUE, "relies on the guard"),
                IsolationKind::Setting { roles: None, .. } | IsolationKind::Database => {
                    (&checks::OPAQUE_SHARED_ROLE, "has one role for all")
                }
                IsolationKind::Setting { roles: Some(_), .. }
                | IsolationKind::Schema {
                    per_tenant_role: true,
                } => continue,
            };
            let detail = format!("isolation.{name} {what}");
            let fix = "opaque = \"own\"";
            let object = match settings.guard.opaque {
                Permission::Allow => "guard.opaque".to_owned(),
                _ => format!("isolation.{name}.opaque"),
            };
            add(check, object, Some(detail), fix);
        }
    }
    let fix = "channels = \"own\"";
    if settings.guard.channels == Permission::Allow {
        add(&checks::CHANNELS, "guard.channels".into(), None, fix);
    }
    for (name, isolation) in &settings.isolations {
        let guard = isolation.guard;
        if guard.channels == Permission::Allow && guard.channels != settings.guard.channels {
            let object = format!("isolation.{name}.channels");
            add(&checks::CHANNELS, object, None, fix);
        }
    }
    for (name, isolation) in &settings.isolations {
        let (check, fix) = match &isolation.kind {
            IsolationKind::Schema {
                per_tenant_role: false,
            } => (&checks::NO_TENANT_ROLE, "role = \"{schema}_app\""),
            IsolationKind::Setting {
                seal: Seal::Off,
                roles: None,
                ..
            } => (&checks::SHARED_ROLE, "role = \"{role}\", or a seal"),
            _ => continue,
        };
        add(check, format!("isolation.{name}"), None, fix);
    }
    for (name, server) in &settings.servers {
        let object = format!("servers.{name}.tls");
        let fix = "tls = \"verify-full\" and ca = \"FILE\"";
        match &server.tls {
            _ if server.hosts.iter().all(|host| is_this_machine(&host.name)) => {}
            ServerTls::Off => add(&checks::SERVER_CLEAR_TEXT, object, None, fix),
            ServerTls::On {
                verification: Verification::Nothing,
                ..
            } => add(&checks::SERVER_UNVERIFIED, object, None, fix),
            ServerTls::On { .. } => {}
        }
    }
    if let Some((detail, fix)) = too_few_files(settings) {
        add(
            &checks::FILES,
            "listen.max_clients".into(),
            Some(detail),
            &fix,
        );
    }
    let mut addresses = settings.listen.addresses.iter();
    if matches!(settings.tls, ClientTls::Off | ClientTls::Allow(_))
        && addresses.any(|address| !address.ip().is_loopback())
    {
        add(
            &checks::CLIENT_CLEAR_TEXT,
            "tls.mode".into(),
            None,
            "mode = \"require\"",
        );
    }
    let now = SystemTime::now();
    for one in settings.certificate_files.iter() {
        if one.lifetime.is_ending(now) {
            add(
                &checks::CERTIFICATE_ENDS,
                one.key.clone(),
                Some(one.lifetime.to_string()),
                "replace the certificate in the file",
            );
        }
    }
    findings
}

/// Files beside those of clients and of server connections: the listeners, what
/// asks for cancels and for tenants, logs.
const OTHER_FILES: usize = 64;

/// What is said, and done about it, where the process may not open files enough.
#[cfg(unix)]
fn too_few_files(settings: &Settings) -> Option<(String, String)> {
    use rustix::process::{Resource, getrlimit};

    let limit = usize::try_from(getrlimit(Resource::Nofile).current?).ok()?;
    let clients = settings.listen.max_clients;
    let pools = scope::sum(settings, |_| true);
    let needed = clients
        .saturating_add(pools.connections)
        .saturating_add(OTHER_FILES);
    let pools = pools.shown();
    let detail = format!(
        "{clients} clients, {pools} and {OTHER_FILES} others \
         need {needed} open files; this process may have {limit}"
    );
    (needed > limit).then(|| {
        (
            detail,
            format!("ulimit -n {needed}, or LimitNOFILE={needed} in the unit"),
        )
    })
}

#[cfg(not(unix))]
fn too_few_files(_: &Settings) -> Option<(String, String)> {
    None
}

fn is_this_machine(host: &str) -> bool {
    let address = host.parse::<IpAddr>();
    host.starts_with('/')
        || host.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.is_loopback())
}
