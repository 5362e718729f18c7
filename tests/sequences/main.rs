//! Generated sequences of messages, to PostgreSQL itself and through the proxy: the
//! answers must be the same, nothing of them may be left for the next tenant, and
//! the server connection must be had again, wherever the client breaks off.
//!
//! `PGTENANT_SEQUENCES=1000000 PGTENANT_SEQUENCES_SEED=7 tests/run --test sequences`
//! searches for longer and elsewhere. What fails is told as short as it can be made.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]
#![allow(missing_docs, unreachable_pub)]

mod answers;
mod generate;
mod pair;
mod shrink;

use generate::Session;
use pair::{Kind, Pair};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;
use testkit::{Plain, Programs, Random};

/// Sequences of a test, unless the environment says otherwise.
const SEQUENCES: usize = 4000;

/// Servers' databases, and proxies before them, that are used at the same time.
const PAIRS: usize = 2;

/// So many failures are told, and no more are looked for.
const ENOUGH: usize = 5;

fn from_environment(name: &str, otherwise: usize) -> usize {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// What has been done.
#[derive(Default)]
struct Tally {
    sequences: AtomicUsize,
    /// Sequences of sessions in which the proxy has refused something, so that
    /// the answers part.
    refused: AtomicUsize,
}

fn run(major: u32, kind: Kind) {
    let Some(programs) = Programs::find(major) else {
        return;
    };
    let started = Instant::now();
    let share = match kind {
        // Each takes its time.
        Kind { crowded: true, .. } => 8,
        // What a profile changes shows in fewer.
        Kind { profile, .. } if !profile.is_empty() => 2,
        _ => 1,
    };
    let most = SEQUENCES / share;
    let wanted = from_environment("PGTENANT_SEQUENCES", most);
    let seed = from_environment("PGTENANT_SEQUENCES_SEED", 1);
    let plain = Plain::start(
        &programs,
        &[("fsync", "off"), ("autovacuum", "off"), ("jit", "off")],
    );
    let (tally, next) = (Tally::default(), AtomicUsize::new(0));
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for number in 0..PAIRS {
            let (plain, tally, next, failures) = (&plain, &tally, &next, &failures);
            scope.spawn(move || {
                let mut pair = Pair::start(plain, number, kind);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let done = tally.sequences.load(Ordering::Relaxed);
                    if done >= wanted || failures.lock().unwrap().len() >= ENOUGH {
                        return;
                    }
                    let mut random = numbers(seed, number);
                    let session = Session::generate(&mut random, kind.clients);
                    match pair.run(&session) {
                        Ok(outcome) => {
                            let sequences = session.sequences.len();
                            tally.sequences.fetch_add(sequences, Ordering::Relaxed);
                            if outcome.refused {
                                tally.refused.fetch_add(sequences, Ordering::Relaxed);
                            }
                        }
                        Err(fault) => {
                            let (least, why) = shrink::shrink(&mut pair, session, &fault);
                            let told = format!("seed {seed}, session {number}:\n{least}\n{why}");
                            eprintln!("PostgreSQL {major}, {told}");
                            failures.lock().unwrap().push(told);
                        }
                    }
                }
            });
        }
    });
    let (done, refused) = (tally.sequences.into_inner(), tally.refused.into_inner());
    eprintln!(
        "PostgreSQL {major}: {done} sequences, {refused} of them in sessions with a refusal, {} s",
        started.elapsed().as_secs()
    );
    let failures = failures.into_inner().unwrap();
    assert!(
        failures.is_empty(),
        "on PostgreSQL {major}:\n{}",
        failures.join("\n")
    );
    // Or next to nothing would have been compared.
    assert!(refused * 3 < done, "{refused} of {done} were refused");
}

const ONE: Kind = Kind {
    clients: 1,
    profile: "",
    crowded: false,
};

const TWO: Kind = Kind { clients: 2, ..ONE };

const CROWDED: Kind = Kind {
    crowded: true,
    ..TWO
};

#[test]
fn one_client_gets_the_answers_of_postgresql_15() {
    run(15, ONE);
}

#[test]
fn one_client_gets_the_answers_of_postgresql_18() {
    run(18, ONE);
}

#[test]
fn clients_that_take_turns_get_the_answers_of_postgresql_15() {
    run(15, TWO);
}

#[test]
fn clients_that_take_turns_get_the_answers_of_postgresql_18() {
    run(18, TWO);
}

/// The numbers of one session.
fn numbers(seed: usize, session: usize) -> Random {
    let mut random = Random::new((seed as u64) << 32 ^ session as u64);
    random.number();
    random
}

/// What its statements answer is counted, and never too much.
const COUNTED: Kind = Kind {
    profile: "max_rows = 1000000",
    ..ONE
};

#[test]
fn a_login_whose_answers_are_counted_gets_those_of_postgresql_15() {
    run(15, COUNTED);
}

#[test]
fn a_login_whose_answers_are_counted_gets_those_of_postgresql_18() {
    run(18, COUNTED);
}

#[test]
fn clients_whose_connection_others_wait_for_get_the_answers_of_postgresql_15() {
    run(15, CROWDED);
}

#[test]
fn clients_whose_connection_others_wait_for_get_the_answers_of_postgresql_18() {
    run(18, CROWDED);
}
