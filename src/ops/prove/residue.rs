//! What one tenant leaves on server connections, and what the next one finds there.
//!
//! What is left harms nobody who gets it from a proxy that does not clean up.

use super::report::{Outcome, Test};
use super::scene::Side;
use super::wire::{Answer, Login, Session};
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::timeout;

/// The most time for a server connection: if there is none, all are held.
const PATIENCE: Duration = Duration::from_secs(2);

/// Something that is left behind.
struct Residue {
    id: &'static str,
    promise: &'static str,
    /// What the one tenant does; nothing of it is data.
    leave: &'static str,
    /// What the next one asks.
    look: &'static str,
    found: Found,
    /// What takes it away from a server connection that nobody has cleaned.
    undo: &'static str,
}

/// What shows that it was found.
enum Found {
    /// A value of the answer is this text.
    Value(&'static str),
    /// The answer is what the first one's statement was answered with.
    SameValue,
    /// It does not fail with this SQLSTATE.
    NoError(&'static str),
}

const fn residue(
    id: &'static str,
    promise: &'static str,
    leave: &'static str,
    look: &'static str,
    found: Found,
    undo: &'static str,
) -> Residue {
    Residue {
        id,
        promise,
        leave,
        look,
        found,
        undo,
    }
}

use Found::{NoError, SameValue, Value};

#[rustfmt::skip]
const RESIDUES: &[Residue] = &[
    residue("left-setting", "P10", "SET work_mem = '4567kB'", "SHOW work_mem", Value("4567kB"), "RESET work_mem"),
    residue("left-timeout", "P10", "SET lock_timeout = '7654321ms'", "SHOW lock_timeout", Value("7654321ms"), "RESET lock_timeout"),
    residue("left-set-config", "P10", "SELECT set_config('join_collapse_limit', '7', false)", "SHOW join_collapse_limit", Value("7"), "RESET join_collapse_limit"),
    residue("left-pg-settings", "P10", "UPDATE pg_settings SET setting = '13' WHERE name = 'geqo_threshold'", "SHOW geqo_threshold", Value("13"), "RESET geqo_threshold"),
    residue("left-custom-setting", "P10", "SET tenant_proof.leftover = 'of the other'", "SELECT current_setting('tenant_proof.leftover', true)", Value("of the other"), "SET tenant_proof.leftover = ''"),
    residue("left-random", "P6", "SELECT setseed(0.42); SELECT random() AS first; SELECT setseed(0.42)", "SELECT random() AS first", SameValue, "SELECT 1"),
    residue("left-temporary-table", "P6", "CREATE TEMP TABLE tenant_proof ()", "SELECT count(*) FROM pg_temp.tenant_proof", NoError("42P01"), "DROP TABLE pg_temp.tenant_proof"),
    residue("left-prepared-statement", "P8", "PREPARE tenant_proof AS SELECT 1", "EXECUTE tenant_proof", NoError("26000"), "DEALLOCATE tenant_proof"),
    residue("left-cursor", "P6", "DECLARE tenant_proof CURSOR WITH HOLD FOR SELECT 1", "FETCH tenant_proof", NoError("34000"), "CLOSE tenant_proof"),
    residue("left-listening", "P6", "LISTEN tenant_proof", "SELECT pg_listening_channels()", Value("tenant_proof"), "UNLISTEN tenant_proof"),
    residue("left-advisory-lock", "P6", "SELECT pg_advisory_lock_shared(7236412306)", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()", Value("1"), "SELECT pg_advisory_unlock_all()"),
];

/// The process of the server connection that a session has now, and when it began.
const PROCESS: &str = "SELECT pid::text || ' since ' || backend_start::text FROM pg_stat_activity \
                       WHERE pid = pg_backend_pid()";

/// Has the first side leave what there is to leave on so many server connections, and the
/// second look for it.
pub(super) async fn residues(own: &Side, other: &Side, connections: usize, tests: &mut Vec<Test>) {
    prepare(other).await;
    let mut left = leave(own, connections).await;
    find(other, connections, &mut left).await;
    for (residue, outcome) in RESIDUES.iter().zip(left.outcomes) {
        let never = || never(own, other, left.processes.len());
        tests.push(Test {
            id: residue.id.to_owned(),
            promise: residue.promise,
            what: format!(
                "one tenant: {}; the next one on its server connection: {}",
                residue.leave, residue.look
            ),
            outcome: outcome.unwrap_or_else(never),
        });
    }
}

/// The other tenant never got a server connection of the first.
fn never(own: &Side, other: &Side, connections: usize) -> Outcome {
    let (here, there) = (&own.place, &other.place);
    let got = format!(
        "of {connections} server connections that the one tenant had the other never got one"
    );
    if here.database != there.database {
        return Outcome::NotApplicable(format!("{got}: their databases differ"));
    }
    if here.user != there.user {
        return Outcome::NotApplicable(format!("{got}: their roles differ"));
    }
    Outcome::NotTested(format!("{got}: try more (--connections)"))
}

/// The next tenant has set the custom setting before: a proxy may keep a session that knows a
/// name away from tenants that do not use it.
async fn prepare(other: &Side) {
    if let Ok(mut session) = other.login.open().await {
        session.query("SET tenant_proof.leftover = 'its own'").await;
        session.close().await;
    }
}

/// What the first tenant has left.
#[derive(Default)]
struct Left {
    /// On which server connections.
    processes: HashSet<String>,
    /// What is known of each of the residues.
    outcomes: Vec<Option<Outcome>>,
    /// What leaving them was answered with.
    answers: Vec<Answer>,
}

async fn leave(own: &Side, connections: usize) -> Left {
    let mut left = Left::default();
    let mut held = Vec::new();
    for number in 0..connections {
        let Some(mut session) = holder(&own.login).await else {
            break;
        };
        session.query("ROLLBACK").await;
        for residue in RESIDUES {
            let answer = session.query(residue.leave).await;
            if number == 0 {
                left.outcomes.push(unleft(&answer));
                left.answers.push(answer);
            }
        }
        // It keeps its server connection, so that the next gets another.
        if !holds(&mut session).await {
            break;
        }
        let process = session.query(PROCESS).await;
        left.processes.extend(process.value().map(str::to_owned));
        held.push(session);
    }
    left.outcomes.resize(RESIDUES.len(), None);
    for mut session in held {
        session.query("ROLLBACK").await;
        session.close().await;
    }
    left
}

/// A session that has a server connection, within a transaction; none if there is none.
async fn holder(login: &Login) -> Option<Session> {
    let mut session = login.open().await.ok()?;
    holds(&mut session).await.then_some(session)
}

/// Begins a transaction, if there is a server connection for it.
async fn holds(session: &mut Session) -> bool {
    let begun = timeout(PATIENCE, session.query("BEGIN; SELECT 1")).await;
    begun.is_ok_and(|answer| answer.failed.is_none())
}

/// Why something could not be left.
fn unleft(answer: &Answer) -> Option<Outcome> {
    let failed = answer.failed.as_ref()?;
    Some(match (failed.by_server, failed.sqlstate.as_str()) {
        (false, "42501" | "0A000") => {
            Outcome::Held(format!("it cannot be left: refused: {failed}"))
        }
        (true, "42501") => Outcome::NotApplicable(format!("it cannot be left: {failed}")),
        _ => Outcome::NotTested(format!("it could not be left: {failed}")),
    })
}

async fn find(other: &Side, connections: usize, left: &mut Left) {
    let mut lookers = Vec::new();
    for _ in 0..connections {
        if left.outcomes.iter().all(Option::is_some) {
            break;
        }
        let Some(mut looker) = holder(&other.login).await else {
            break;
        };
        let process = looker.query(PROCESS).await;
        if process
            .value()
            .is_some_and(|one| left.processes.contains(one))
        {
            look(&mut looker, left).await;
        }
        lookers.push(looker);
    }
    for mut looker in lookers {
        looker.query("ROLLBACK").await;
        looker.close().await;
    }
}

async fn look(looker: &mut Session, left: &mut Left) {
    let mut undo = Vec::new();
    for ((residue, outcome), answer) in RESIDUES.iter().zip(&mut left.outcomes).zip(&left.answers) {
        if outcome.is_some() {
            continue;
        }
        looker.query("SAVEPOINT looking").await;
        let found = looker.query(residue.look).await;
        looker.query("ROLLBACK TO looking").await;
        let judged = judge(residue, &found, answer);
        if matches!(judged, Outcome::Broken(_)) {
            undo.push(residue.undo);
        }
        *outcome = Some(judged);
    }
    if !undo.is_empty() {
        looker.query("ROLLBACK").await;
    }
    for sql in undo {
        looker.query(sql).await;
    }
}

fn judge(residue: &Residue, answer: &Answer, left: &Answer) -> Outcome {
    let found = || Outcome::Broken("the next tenant found it".to_owned());
    let gone = || Outcome::Held("on the same server connection it was gone".to_owned());
    let mut values = answer.rows.iter().flatten().flatten();
    match (&residue.found, &answer.failed) {
        (NoError(state), Some(failed)) if failed.sqlstate == *state => gone(),
        (NoError(_), None) => found(),
        (_, Some(failed)) => {
            Outcome::NotTested(format!("looking failed for another reason: {failed}"))
        }
        (Value(text), None) if values.any(|value| value == text) => found(),
        // The second of three statements: setseed has no value.
        (SameValue, None)
            if left.rows.get(1).is_some() && answer.rows.first() == left.rows.get(1) =>
        {
            found()
        }
        (_, None) => gone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn residue(id: &str) -> &'static Residue {
        let mut all = RESIDUES.iter();
        all.find(|residue| residue.id == id).expect("is there")
    }

    fn row(value: &str) -> Vec<Option<String>> {
        vec![Some(value.to_owned())]
    }

    fn answered(values: &[&str]) -> Answer {
        Answer {
            rows: values.iter().map(|value| row(value)).collect(),
            ..Answer::default()
        }
    }

    fn failed(sqlstate: &str) -> Answer {
        let failed = super::super::wire::Failed {
            sqlstate: sqlstate.to_owned(),
            message: String::new(),
            by_server: true,
            rule: None,
        };
        Answer {
            failed: Some(failed),
            ..Answer::default()
        }
    }

    fn word(id: &str, found: &Answer, left: &Answer) -> &'static str {
        judge(residue(id), found, left).word()
    }

    #[test]
    fn what_is_found_is_told_from_what_is_gone_and_from_what_cannot_be_seen() {
        let none = Answer::default();
        assert_eq!(
            word("left-setting", &answered(&["4567kB"]), &none),
            "broken"
        );
        assert_eq!(word("left-setting", &answered(&["4MB"]), &none), "held");
        assert_eq!(word("left-setting", &failed("57014"), &none), "not tested");
        assert_eq!(word("left-cursor", &answered(&["1"]), &none), "broken");
        assert_eq!(word("left-cursor", &failed("34000"), &none), "held");
        assert_eq!(word("left-cursor", &failed("42501"), &none), "not tested");
        let seeded = answered(&["", "0.74", ""]);
        assert_eq!(word("left-random", &answered(&["0.74"]), &seeded), "broken");
        assert_eq!(word("left-random", &answered(&["0.12"]), &seeded), "held");
    }
}
