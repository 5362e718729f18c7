//! The log.

use crate::config::{Log, LogFormat};
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::time::Duration;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

/// Lines that may wait for standard error to take them. What comes then is dropped:
/// a log that nobody reads must not hold up those who are served.
const MOST_WAITING: usize = 4096;
/// How often it is looked at whether lines were dropped.
const LOOK: Duration = Duration::from_secs(10);

/// A log that runs. What waits is written when this is dropped, if standard error
/// takes it within a second.
#[derive(Debug)]
pub struct RunningLog {
    _worker: WorkerGuard,
    dropped: ErrorCounter,
}

impl RunningLog {
    /// Tells the log how many lines were dropped, without an end.
    pub fn report_dropped(&self) -> impl Future<Output = ()> + Send + use<> {
        let dropped = self.dropped.clone();
        async move {
            let mut told = 0;
            loop {
                tokio::time::sleep(LOOK).await;
                let now = dropped.dropped_lines();
                if now > told {
                    tracing::warn!(
                        lines = now - told,
                        "log lines were dropped: standard error does not take them fast enough"
                    );
                    told = now;
                }
            }
        }
    }
}

/// Sends the log to standard error, in the form that the settings ask for, on a
/// thread of its own. Can be started once in a process; later calls change nothing.
#[must_use]
pub fn start(log: &Log) -> RunningLog {
    let (writer, worker) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(MOST_WAITING)
        .thread_name("log")
        .finish(std::io::stderr());
    let running = RunningLog {
        _worker: worker,
        dropped: writer.error_counter(),
    };
    let filter = EnvFilter::try_new(&log.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // There would be nowhere to tell of them.
        .log_internal_errors(false)
        .with_writer(writer);
    // An error means that a log runs already.
    let _ = match log.format {
        LogFormat::Text => builder
            .fmt_fields(debug_fn(write_field).delimited(" "))
            .with_ansi(std::io::stderr().is_terminal())
            .try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    running
}

/// One field, on one line: texts of a client's may hold line breaks, and must
/// not pass for events of ours.
fn write_field(
    out: &mut Writer<'_>,
    field: &tracing::field::Field,
    value: &dyn std::fmt::Debug,
) -> std::fmt::Result {
    if field.name() != "message" {
        write!(out, "{}=", field.name())?;
    }
    write!(OneLine(out), "{value:?}")
}

/// Escapes control characters.
struct OneLine<'a, 'w>(&'a mut Writer<'w>);

impl std::fmt::Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let mut rest = text;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| c.is_control()) {
            let (before, after) = rest.split_at(at);
            write!(self.0, "{before}{}", c.escape_default())?;
            rest = after.get(c.len_utf8()..).unwrap_or_default();
        }
        self.0.write_str(rest)
    }
}
