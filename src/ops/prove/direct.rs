//! The way past the proxy.

use super::observe::{Observer, Seen};
use super::report::{Outcome, Test};
use super::scene::Scene;
use super::text::literal;
use super::wire::{Login, Session};
use crate::server::ConnectError;
use std::io;

/// Tries to reach the tenants' rows with a login past the proxy. `theirs` sees rows of
/// the second tenant, `ours` those of the first.
pub(super) async fn direct(
    scene: &Scene,
    login: Option<&Login>,
    ours: &Observer,
    theirs: &Observer,
    tests: &mut Vec<Test>,
) {
    let outcome = match login {
        None => Outcome::NotTested("--direct is not given".to_owned()),
        Some(login) => match login.open().await {
            Ok(mut session) => {
                let outcome = bound(scene, &mut session, ours, theirs).await;
                session.close().await;
                outcome
            }
            Err(error) => closed(&error),
        },
    };
    tests.push(Test {
        id: "direct-access".to_owned(),
        promise: "D3",
        what: match login {
            None => "log in past the proxy".to_owned(),
            Some(login) => format!(
                "log in past the proxy as {} at {}",
                login.user(),
                login.server.hosts
            ),
        },
        outcome,
    });
}

/// Why nobody gets in.
fn closed(error: &ConnectError) -> Outcome {
    match error {
        ConnectError::Refused(report) if matches!(report.sqlstate.as_str(), "28000" | "42501") => {
            Outcome::Held(format!("refused: {} ({})", report.message, report.sqlstate))
        }
        ConnectError::Refused(report) if report.sqlstate == "28P01" => Outcome::NotTested(format!(
            "PostgreSQL asked for the password and did not take this one, so the way is open: {}",
            report.message
        )),
        ConnectError::Timeout(_) => Outcome::Held(format!("not reached: {error}")),
        ConnectError::Unreachable(reason) if is_barred(reason) => {
            Outcome::Held(format!("not reached: {error}"))
        }
        error => Outcome::NotTested(format!("it failed for another reason: {error}")),
    }
}

fn is_barred(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable, TimedOut,
        UnexpectedEof,
    };
    matches!(
        error.kind(),
        ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | NetworkUnreachable
            | TimedOut
            | UnexpectedEof
    )
}

/// Who gets in must see no row, whatever it sets.
async fn bound(
    scene: &Scene,
    session: &mut Session,
    ours: &Observer,
    theirs: &Observer,
) -> Outcome {
    if ours.is_without_rows() || theirs.is_without_rows() {
        return Outcome::NotTested(
            "it got in, and no row is known that could be looked for".to_owned(),
        );
    }
    let mut tried = vec!["SELECT 1".to_owned()];
    if let Some(setting) = &scene.setting {
        let set = |value: &str| format!("SET LOCAL {setting} = {}", literal(value));
        tried.extend([set(&scene.own.value), set(&scene.other.value)]);
    }
    let mut seen = [false, false];
    for sql in tried {
        for (seen, observer) in seen.iter_mut().zip([ours, theirs]) {
            // In a transaction: behind it the connection may be somebody else's.
            session.query(&format!("BEGIN; {sql}")).await;
            let looked = observer.look_at_rows(session).await;
            session.query("ROLLBACK").await;
            match looked {
                Seen::Rows => *seen = true,
                Seen::Unclear(why) => {
                    return Outcome::NotTested(format!(
                        "it got in, and what it sees is not clear: {why}"
                    ));
                }
                _ => {}
            }
        }
    }
    match seen {
        [true, true] => Outcome::Broken("it got in, and reads rows of both tenants".to_owned()),
        [false, false] => {
            Outcome::Held("it got in, and sees no row of either, whatever it sets".to_owned())
        }
        _ => Outcome::Broken("it got in, and reads rows of one of the tenants".to_owned()),
    }
}
