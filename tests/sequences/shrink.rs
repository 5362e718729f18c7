//! Makes a session that fails shorter, as long as it fails.

use crate::generate::Session;
use crate::pair::{Fault, Pair};
use std::time::{Duration, Instant};

/// Most attempts, and most time for them: a session that hangs takes its time.
const ATTEMPTS: usize = 100;
const TIME: Duration = Duration::from_secs(60);

/// The shortest that was found, and what is wrong with it.
pub fn shrink(pair: &mut Pair<'_>, session: Session, found: &str) -> (Session, Fault) {
    let (mut attempts, started) = (0, Instant::now());
    let mut fails = |session: &Session| {
        attempts += 1;
        if attempts > ATTEMPTS || started.elapsed() > TIME {
            return None;
        }
        pair.renew();
        let fault = pair.run(session).err();
        if fault.is_some() {
            pair.renew();
        }
        fault
    };
    let Some(mut fault) = fails(&session) else {
        let why = format!("only behind the sessions before it: {found}");
        return (session, why);
    };
    let mut least = session;
    'again: loop {
        for shorter in shorter(&least) {
            if let Some(why) = fails(&shorter) {
                (least, fault) = (shorter, why);
                continue 'again;
            }
        }
        return (least, fault);
    }
}

/// Sessions that have less in them, those that have much less first.
fn shorter(session: &Session) -> Vec<Session> {
    let mut all = Vec::new();
    let count = session.sequences.len();
    for keep in [count / 2..count, 0..count / 2] {
        if keep.len() < count {
            let mut less = session.clone();
            less.sequences = session.sequences[keep].to_vec();
            all.push(less);
        }
    }
    for number in 0..count {
        let mut less = session.clone();
        less.sequences.remove(number);
        all.push(less);
    }
    if !session.last.is_empty() {
        let mut less = session.clone();
        less.last.clear();
        all.push(less);
    }
    for (number, sequence) in session.sequences.iter().enumerate() {
        for step in 0..sequence.steps.len() {
            let mut less = session.clone();
            less.sequences[number].steps.remove(step);
            all.push(less);
        }
    }
    for step in 0..session.last.len() {
        let mut less = session.clone();
        less.last.remove(step);
        all.push(less);
    }
    all.retain(|less| less.len() < session.len());
    all
}
