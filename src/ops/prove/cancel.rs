//! Whether one tenant can cancel or end what the other runs.

use super::report::{Outcome, Test};
use super::scene::Side;
use super::wire::{Answer, Message, Session};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

/// The statement that is to be struck, and how long it is given to begin.
const SLEEP: &str = "SELECT pg_sleep(2)";
const BEGINS: Duration = Duration::from_millis(600);

/// How it is tried.
#[derive(Clone, Copy)]
enum Means {
    /// A request to cancel with the session's own key: shows that a hit is seen.
    OwnKey,
    /// The other's process id, with one's own secret.
    MixedKey,
    /// A function, with the process id that the other was given.
    Function(&'static str),
    /// The same, with the process of its server connection.
    OfServer(&'static str),
}

const TRIED: [(&str, Means); 5] = [
    ("cancel-with-own-secret", Means::MixedKey),
    ("cancel-by-function", Means::Function("pg_cancel_backend")),
    ("cancel-of-process", Means::OfServer("pg_cancel_backend")),
    ("end-by-function", Means::Function("pg_terminate_backend")),
    ("end-of-process", Means::OfServer("pg_terminate_backend")),
];

/// Tries them on a statement of the other side's.
pub(super) async fn cancels(own: &Side, other: &Side, tests: &mut Vec<Test>) {
    let all = [Means::OwnKey]
        .into_iter()
        .chain(TRIED.map(|(_, means)| means));
    // At the same time: each takes as long as its statement.
    let mut running: Vec<Pin<Box<dyn Future<Output = _> + '_>>> = Vec::new();
    for means in all {
        running.push(Box::pin(struck(own, other, means)));
    }
    let mut answers = together(running).await.into_iter();
    let Some(control) = answers.next() else {
        return;
    };
    for ((id, means), answer) in TRIED.into_iter().zip(answers) {
        let outcome = match &control {
            Ok(control) if is_struck(control) => match answer {
                Err(why) => Outcome::NotTested(why),
                Ok(answer) if is_struck(&answer) => {
                    Outcome::Broken("the other tenant's statement was ended".to_owned())
                }
                Ok(Answer {
                    failed: Some(failed),
                    ..
                }) => {
                    Outcome::NotTested(format!("the statement failed for another reason: {failed}"))
                }
                Ok(_) => Outcome::Held("the other tenant's statement ran to its end".to_owned()),
            },
            Ok(_) => Outcome::NotTested(
                "not even its own key cancels a statement, so that nothing would be seen"
                    .to_owned(),
            ),
            Err(why) => Outcome::NotTested(why.clone()),
        };
        tests.push(Test {
            id: id.to_owned(),
            promise: "P14",
            what: match means {
                Means::OwnKey => "its own key".to_owned(),
                Means::MixedKey => {
                    "a request to cancel with the other's process id and one's own secret"
                        .to_owned()
                }
                Means::Function(name) => {
                    format!("{name} with the process id that the other tenant was given")
                }
                Means::OfServer(name) => {
                    format!("{name} with the process id of the other tenant's server connection")
                }
            },
            outcome,
        });
    }
}

/// What they come to, in their order.
async fn together<T>(mut running: Vec<Pin<Box<dyn Future<Output = T> + '_>>>) -> Vec<T> {
    let mut done: Vec<Option<T>> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (one, slot) in running.iter_mut().zip(&mut done) {
            if slot.is_none()
                && let Poll::Ready(value) = one.as_mut().poll(cx)
            {
                *slot = Some(value);
            }
        }
        match done.iter().all(Option::is_some) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

fn is_struck(answer: &Answer) -> bool {
    let ended =
        |state: &str| state == "57014" || state.starts_with("57P") || state.starts_with("08");
    answer
        .failed
        .as_ref()
        .is_some_and(|failed| ended(&failed.sqlstate))
}

/// What the other's statement was answered with.
async fn struck(own: &Side, other: &Side, means: Means) -> Result<Answer, String> {
    let no_login = |error| format!("cannot log in: {error}");
    let mut attacker = own.login.open().await.map_err(no_login)?;
    let mut victim = other.login.open().await.map_err(no_login)?;
    victim.query("BEGIN").await;
    let process = victim
        .query("SELECT pid FROM pg_stat_activity WHERE pid = pg_backend_pid()")
        .await;
    let sleep = [Message::Query(SLEEP.to_owned())];
    let started = victim.start(&sleep).await;
    started.map_err(|error| format!("the statement could not be sent: {error}"))?;
    tokio::time::sleep(BEGINS).await;
    let asked = ask(own, &mut attacker, &victim, process.value(), means).await;
    let answer = victim.finish(&sleep).await;
    victim.query("ROLLBACK").await;
    victim.close().await;
    attacker.close().await;
    asked.map(|()| answer)
}

async fn ask(
    own: &Side,
    attacker: &mut Session,
    victim: &Session,
    process: Option<&str>,
    means: Means,
) -> Result<(), String> {
    let secret = match means {
        Means::OwnKey => Some(victim.secret),
        Means::MixedKey if attacker.secret == victim.secret => {
            return Err("both sessions have the same secret".to_owned());
        }
        Means::MixedKey => Some(attacker.secret),
        Means::Function(_) | Means::OfServer(_) => None,
    };
    if let Some(secret) = secret {
        let asked = own.login.cancel(victim.pid, secret).await;
        return asked.map_err(|error| format!("the request could not be sent: {error}"));
    }
    let pid = victim.pid.cast_signed().to_string();
    let (name, pid) = match means {
        Means::OfServer(name) => (name, process.ok_or("the server process is not known")?),
        Means::Function(name) => (name, pid.as_str()),
        Means::OwnKey | Means::MixedKey => return Ok(()),
    };
    // Refused or not: the other's statement tells.
    attacker.query(&format!("SELECT {name}({pid})")).await;
    Ok(())
}
