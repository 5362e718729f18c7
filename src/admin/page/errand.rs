//! What takes a while and is done on request: `pgtenant check`, and the verification of
//! the audit log. One of each at a time, each on a thread of its own.

use crate::audit::{self, Examination, Options};
use crate::ops::check::Report;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

/// Runs `pgtenant check`: it is told where to say how many databases have been looked
/// at, and of how many.
#[derive(Clone)]
pub struct Checkup(Arc<Run>);

type Run = dyn Fn(&mut dyn FnMut(usize, usize)) -> Result<Report, String> + Send + Sync;

impl Checkup {
    /// A checkup that does this.
    pub fn new(
        run: impl Fn(&mut dyn FnMut(usize, usize)) -> Result<Report, String> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(run))
    }
}

impl std::fmt::Debug for Checkup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Checkup")
    }
}

/// Something that takes a while.
#[derive(Debug, Default)]
pub enum Errand<T> {
    /// Nobody has asked for it.
    #[default]
    Never,
    /// It runs.
    Runs {
        /// Since when.
        begun: Instant,
        /// How much of it is done, of how much.
        progress: (u64, u64),
    },
    /// It is done.
    Done {
        /// When.
        at: SystemTime,
        /// What came of it, or why nothing did.
        outcome: Result<T, String>,
    },
}

type Shared<T> = Arc<Mutex<Errand<T>>>;

/// What can be asked for.
#[derive(Debug, Default)]
pub struct Errands {
    check: Shared<Report>,
    audit: Shared<Examination>,
}

impl Errands {
    /// How the check is getting on.
    pub fn check(&self) -> MutexGuard<'_, Errand<Report>> {
        lock(&self.check)
    }

    /// How the verification of the audit log is getting on.
    pub fn audit(&self) -> MutexGuard<'_, Errand<Examination>> {
        lock(&self.audit)
    }

    /// Begins the check, unless it runs.
    ///
    /// # Errors
    /// What the administrator is told.
    pub fn begin_check(&self, checkup: Checkup) -> Result<(), String> {
        begin(&self.check, move |progress| {
            let told = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
            (checkup.0)(&mut |done, of| progress(told(done), told(of)))
        })
    }

    /// Begins to verify the audit log, unless that runs.
    ///
    /// # Errors
    /// What the administrator is told.
    pub fn begin_audit(&self, options: Options) -> Result<(), String> {
        begin(&self.audit, move |progress| {
            let examined = audit::examine(&options, progress);
            let examined = examined.map_err(|unreadable| unreadable.to_string())?;
            examined.ok_or_else(|| "the log is not written to a file".to_owned())
        })
    }
}

fn lock<T>(errand: &Mutex<Errand<T>>) -> MutexGuard<'_, Errand<T>> {
    errand.lock().unwrap_or_else(PoisonError::into_inner)
}

fn begin<T: Send + 'static>(
    errand: &Shared<T>,
    run: impl FnOnce(&mut dyn FnMut(u64, u64)) -> Result<T, String> + Send + 'static,
) -> Result<(), String> {
    let mut now = lock(errand);
    if matches!(*now, Errand::Runs { .. }) {
        return Err("it runs already".to_owned());
    }
    let begun = Instant::now();
    *now = Errand::Runs {
        begun,
        progress: (0, 0),
    };
    drop(now);
    let running = errand.clone();
    let work = move || {
        let ending = Ending(&running);
        let outcome = run(&mut |done, of| {
            let progress = (done, of);
            *lock(&running) = Errand::Runs { begun, progress };
        });
        ending.with(outcome);
    };
    let thread = std::thread::Builder::new().name("errand".to_owned());
    thread.spawn(work).map(drop).map_err(|error| {
        Ending(errand).with(Err(format!("the system has no thread for it: {error}")));
        "the system has no thread for it".to_owned()
    })
}

/// Says that an errand has ended, also if it ends by a panic: else it could not be asked
/// for again.
struct Ending<'a, T>(&'a Mutex<Errand<T>>);

impl<T> Ending<'_, T> {
    fn with(self, outcome: Result<T, String>) {
        let at = SystemTime::now();
        *lock(self.0) = Errand::Done { at, outcome };
    }
}

impl<T> Drop for Ending<'_, T> {
    fn drop(&mut self) {
        let mut errand = lock(self.0);
        if matches!(*errand, Errand::Runs { .. }) {
            let (at, outcome) = (SystemTime::now(), Err("it broke off".to_owned()));
            *errand = Errand::Done { at, outcome };
        }
    }
}
