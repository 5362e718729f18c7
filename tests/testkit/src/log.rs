//! What the proxy writes to its standard error.

use crate::PATIENCE;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

/// The lines of a process, which grow while it runs.
#[derive(Default)]
pub(crate) struct Log {
    state: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    over: bool,
}

impl Log {
    /// Keeps what comes, until the end.
    pub(crate) fn keep(input: impl Read + Send + 'static) -> Arc<Self> {
        let log = Arc::new(Self::default());
        let keeper = log.clone();
        thread::spawn(move || {
            for line in BufReader::new(input).lines() {
                let Ok(line) = line else { break };
                keeper.state().lines.push(line);
                keeper.changed.notify_all();
            }
            keeper.state().over = true;
            keeper.changed.notify_all();
        });
        log
    }

    /// All lines so far.
    pub(crate) fn text(&self) -> String {
        self.state().lines.join("\n")
    }

    /// Waits for a line that contains `text`.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.state();
        loop {
            if let Some(line) = state.lines.iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.over || left.is_zero() {
                let (over, all) = (state.over, state.lines.join("\n"));
                // Others read the log while this test fails.
                drop(state);
                panic!("no {text:?} in the log (the proxy has ended: {over}):\n{all}");
            }
            let woken = self.changed.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whatever a test that failed was doing with it.
    fn state(&self) -> MutexGuard<'_, Lines> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
