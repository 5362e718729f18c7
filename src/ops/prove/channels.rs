//! What one tenant sees of the other's session while that is there.

use super::report::{Outcome, Test};
use super::scene::Side;
use super::text::canary;
use super::wire::{Answer, Failed, Message, Session};

/// A way to look at other sessions.
struct View {
    id: &'static str,
    promise: &'static str,
    /// What the other tenant's session does in its transaction; `{}` is its own text.
    hold: &'static str,
    /// What the attacker asks.
    look: &'static str,
    shown: Shown,
}

/// What shows that it sees the other session.
enum Shown {
    /// The other's text.
    Text,
    /// The number of the other's server process.
    Process,
    /// The answer is false: somebody else holds the lock.
    Taken,
    /// It does not fail with this SQLSTATE.
    NoError(&'static str),
}

const fn view(
    id: &'static str,
    promise: &'static str,
    hold: &'static str,
    look: &'static str,
    shown: Shown,
) -> View {
    View {
        id,
        promise,
        hold,
        look,
        shown,
    }
}

#[rustfmt::skip]
const VIEWS: &[View] = &[
    view("sessions-queries", "P13", "SELECT '{}'", "SELECT query FROM pg_stat_activity", Shown::Text),
    view("sessions-queries-row", "P13", "SELECT '{}'", "SELECT pg_stat_activity::text FROM pg_catalog.pg_stat_activity", Shown::Text),
    view("sessions-queries-copy", "P13", "SELECT '{}'", "COPY (SELECT a.query FROM pg_stat_activity a) TO STDOUT", Shown::Text),
    view("sessions-queries-function", "P13", "SELECT '{}'", "SELECT query FROM pg_stat_get_activity(NULL)", Shown::Text),
    view("sessions-processes", "P13", "SELECT '{}'", "SELECT pid FROM pg_stat_activity", Shown::Process),
    view("sessions-encryption", "P13", "SELECT '{}'", "SELECT pid FROM pg_stat_ssl", Shown::Process),
    view("sessions-locks", "P13", "SELECT '{}', count(*) FROM pg_class WHERE false", "SELECT pid FROM pg_locks", Shown::Process),
    view("sessions-locks-function", "P13", "SELECT '{}', count(*) FROM pg_class WHERE false", "SELECT pid FROM pg_lock_status()", Shown::Process),
    view("sessions-prepared", "P13", "PREPARE tenant_proof AS SELECT '{}'", "SELECT statement FROM pg_prepared_statements", Shown::Text),
    view("sessions-cursors", "P13", "DECLARE tenant_proof CURSOR FOR SELECT '{}'", "SELECT statement FROM pg_cursors", Shown::Text),
    view("advisory-lock-seen", "P13", "SELECT pg_advisory_xact_lock(7236412307), '{}'", "SELECT pg_try_advisory_xact_lock(7236412307)", Shown::Taken),
    view("prepared-of-other", "P8", "PREPARE tenant_proof AS SELECT '{}'", "EXECUTE tenant_proof", Shown::NoError("26000")),
    view("prepared-of-other-explained", "P8", "PREPARE tenant_proof AS SELECT '{}'", "EXPLAIN EXECUTE tenant_proof", Shown::NoError("26000")),
    view("prepared-of-other-removed", "P8", "PREPARE tenant_proof AS SELECT '{}'", "DEALLOCATE tenant_proof", Shown::NoError("26000")),
    view("cursor-of-other", "P6", "DECLARE tenant_proof CURSOR FOR SELECT '{}'", "FETCH tenant_proof", Shown::NoError("34000")),
];

/// Has the other side hold something, and the first look at it.
pub(super) async fn channels(own: &Side, other: &Side, tests: &mut Vec<Test>) {
    for view in VIEWS {
        let outcome = looked(own, other, view).await;
        tests.push(Test {
            id: view.id.to_owned(),
            promise: view.promise,
            what: format!(
                "one tenant: {}; the other meanwhile: {}",
                view.hold.replace("{}", "…"),
                view.look
            ),
            outcome: outcome.unwrap_or_else(Outcome::NotTested),
        });
    }
    let outcome = notified(own, other).await;
    tests.push(Test {
        id: "notification".to_owned(),
        promise: "P13",
        what: "one tenant: LISTEN; the other: NOTIFY with a text".to_owned(),
        outcome: outcome.unwrap_or_else(Outcome::NotTested),
    });
    let outcome = bound(own, other).await;
    tests.push(Test {
        id: "prepared-of-other-bound".to_owned(),
        promise: "P8",
        what: "one tenant: Parse(tenant_proof); the other: Bind(tenant_proof)".to_owned(),
        outcome: outcome.unwrap_or_else(Outcome::NotTested),
    });
}

/// Logs in both.
async fn both(own: &Side, other: &Side) -> Result<(Session, Session), String> {
    let no_login = |error| format!("cannot log in: {error}");
    let looker = own.login.open().await.map_err(no_login)?;
    let holder = other.login.open().await.map_err(no_login)?;
    Ok((looker, holder))
}

/// A refusal by the proxy.
fn is_refused(failed: &Failed) -> bool {
    !failed.by_server && ["42501", "0A000"].contains(&&*failed.sqlstate)
}

async fn looked(own: &Side, other: &Side, view: &View) -> Result<Outcome, String> {
    let (mut looker, mut holder) = both(own, other).await?;
    let text = canary();
    holder.query("BEGIN").await;
    let process = holder
        .query("SELECT pid FROM pg_stat_activity WHERE pid = pg_backend_pid()")
        .await;
    let held = holder.query(&view.hold.replace("{}", &text)).await;
    let answer = match &held.failed {
        Some(_) => Answer::default(),
        None => looker.query(view.look).await,
    };
    holder.query("ROLLBACK").await;
    if view.hold.starts_with("PREPARE") {
        holder.query("DEALLOCATE tenant_proof").await;
    }
    holder.close().await;
    looker.close().await;
    match held.failed {
        Some(failed) if is_refused(&failed) => {
            return Ok(Outcome::Held(format!(
                "it cannot be held: refused: {failed}"
            )));
        }
        Some(failed) => return Err(format!("it could not be held: {failed}")),
        None => {}
    }
    Ok(judge(view, &answer, &text, process.value()))
}

fn judge(view: &View, answer: &Answer, text: &str, process: Option<&str>) -> Outcome {
    let seen = |what: &str| Outcome::Broken(format!("{what} of the other tenant is seen"));
    let not = || Outcome::Held("nothing of the other tenant's session is seen".to_owned());
    match (&view.shown, &answer.failed) {
        (_, Some(failed)) if is_refused(failed) => Outcome::Held(format!("refused: {failed}")),
        (Shown::NoError(state), Some(failed)) if failed.sqlstate == *state => {
            Outcome::Held(format!("it is not known: {failed}"))
        }
        (_, Some(failed)) => Outcome::NotTested(format!("it failed for another reason: {failed}")),
        (Shown::NoError(_), None) => Outcome::Broken("it reached what the other has".to_owned()),
        (Shown::Text, None) if answer.shows(text) => seen("a statement"),
        (Shown::Process, None) => match process {
            None => Outcome::NotTested("the other's server process is not known".to_owned()),
            Some(process) => {
                let mut values = answer.rows.iter().flatten().flatten();
                match values.any(|value| value == process) {
                    true => seen("the session"),
                    false => not(),
                }
            }
        },
        (Shown::Taken, None) if answer.value() == Some("f") => seen("a lock"),
        (_, None) => not(),
    }
}

async fn notified(own: &Side, other: &Side) -> Result<Outcome, String> {
    let (mut listener, mut sender) = both(own, other).await?;
    let text = canary();
    let name = format!("\"{text}\"");
    let listening = listener.query(&format!("LISTEN {name}")).await;
    if let Some(failed) = listening.failed {
        return match is_refused(&failed) {
            true => Ok(Outcome::Held(format!("refused: {failed}"))),
            false => Err(format!("LISTEN failed: {failed}")),
        };
    }
    let sent = sender.query(&format!("NOTIFY {name}, '{text}'")).await;
    // Whoever listens is told when it is idle, at the next of its statements.
    for _ in 0..10 {
        listener.query("SELECT pg_sleep(0.02)").await;
        if !listener.notified.is_empty() {
            break;
        }
    }
    let has_come = listener.notified.contains(&text);
    listener.query("UNLISTEN *").await;
    listener.close().await;
    sender.close().await;
    Ok(match (sent.failed, has_come) {
        (_, true) => Outcome::Broken("a message of the other tenant has come".to_owned()),
        (Some(failed), _) if is_refused(&failed) => Outcome::Held(format!("refused: {failed}")),
        (Some(failed), _) => Outcome::NotTested(format!("NOTIFY failed: {failed}")),
        (None, false) => Outcome::Held("no message of the other tenant has come".to_owned()),
    })
}

async fn bound(own: &Side, other: &Side) -> Result<Outcome, String> {
    let (mut looker, mut holder) = both(own, other).await?;
    let name = || "tenant_proof".to_owned();
    let prepare = [
        Message::Parse(name(), "SELECT 'of the other'".to_owned()),
        Message::Sync,
    ];
    let held = holder.send(&prepare).await;
    let ask = [
        Message::Bind(String::new(), name(), Vec::new()),
        Message::Execute(String::new()),
        Message::Sync,
    ];
    let control = holder.send(&ask).await;
    let answer = looker.send(&ask).await;
    holder.close().await;
    looker.close().await;
    if let Some(failed) = held.failed.or(control.failed) {
        return Err(format!("it could not be prepared: {failed}"));
    }
    Ok(match answer.failed {
        None => Outcome::Broken("it reached what the other has prepared".to_owned()),
        Some(failed) if failed.sqlstate == "26000" => {
            Outcome::Held(format!("it is not known: {failed}"))
        }
        Some(failed) => Outcome::NotTested(format!("it failed for another reason: {failed}")),
    })
}
