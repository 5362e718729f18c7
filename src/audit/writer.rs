//! The thread that writes the log.

use super::event::Event;
use super::file::{self, Found, Output};
use super::gather::{Frames, split};
use super::hash::Hash;
use super::json::Fields;
use super::ledger::{self, Ledger, Tip};
use super::log::{Shared, micros_now};
use super::options::{Fsync, Options};
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So much memory is kept for what is to be written, in bytes.
const KEPT: usize = 1 << 20;
/// How long it takes until a write that has failed is tried again.
const AGAIN: Duration = Duration::from_millis(250);
/// How often the log is made to outlast a loss of power, with `fsync = "interval"`, and
/// how often a checkpoint is kept beside it.
const SYNC: Duration = Duration::from_secs(1);

fn is_old(since: Instant) -> bool {
    since.elapsed() >= SYNC
}

/// Writes the log.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    options: Options,
    ledger: Ledger,
    output: Output,
    /// Lines that are to be written, and how many bytes of them are.
    pending: Vec<u8>,
    sent: usize,
    /// What the lines took in the buffer.
    bytes: usize,
    /// The number of the last record among them.
    number: u64,
    /// The last checkpoint, if it is not kept beside the log yet.
    checkpoint: Option<Vec<u8>>,
    /// When one was kept last.
    kept: Option<Instant>,
    /// Since when there are records without a checkpoint behind them.
    open_since: Option<Instant>,
    /// Since when there is something to be made to outlast a loss of power.
    unsynced_since: Option<Instant>,
    failing: bool,
    /// When it was tried last to begin another file.
    rotated: Option<Instant>,
    _lock: Option<File>,
    /// Memory for the next records.
    spare: Vec<u8>,
}

impl Writer {
    /// Opens the log and goes on where it has ended.
    pub(super) fn open(options: Options, shared: Arc<Shared>) -> io::Result<Self> {
        let regular = options
            .path
            .as_deref()
            .filter(|path| !file::is_device(path));
        let lock = regular.map(file::lock).transpose()?;
        let mut found = match &options.path {
            Some(path) => file::prepare(path)?,
            None => Found::default(),
        };
        let tip = match found.tip.take() {
            Some(tip) => tip,
            None => Tip::new(&new_id()?),
        };
        let key = options.key.clone();
        let ledger = Ledger::new(tip, key, options.checkpoint_records);
        let output = match &options.path {
            Some(path) => Output::open(path, ledger.next())?,
            None => Output::Stdout,
        };
        let mut writer = Self {
            shared,
            ledger,
            output,
            options,
            pending: Vec::new(),
            sent: 0,
            bytes: 0,
            number: 0,
            checkpoint: None,
            kept: None,
            open_since: None,
            unsynced_since: None,
            failing: false,
            rotated: None,
            _lock: lock,
            spare: Vec::new(),
        };
        if !found.goes_on {
            writer.ledger.begin_file(micros_now(), &mut writer.pending);
        }
        writer.note(&found);
        writer.event(&Event::Start {
            version: env!("CARGO_PKG_VERSION"),
        });
        writer.try_write()?;
        writer.written();
        Ok(writer)
    }

    /// Notes what was found that should not be.
    fn note(&mut self, found: &Found) {
        let mut body = Vec::new();
        if let Some(torn) = &found.torn {
            Fields::new("torn_record_set_apart", &mut body)
                .number("bytes", torn.bytes)
                .plain("sha256", torn.hash)
                .text("file", &torn.file.to_string_lossy());
            self.add(micros_now(), &body);
            body.clear();
        }
        if let Some(aside) = &found.damaged {
            Fields::new("damaged_log_set_apart", &mut body).text("file", &aside.to_string_lossy());
            self.add(micros_now(), &body);
            body.clear();
        }
        if let Some((log, records, expected)) = &found.cut {
            Fields::new("log_cut", &mut body)
                .text("cut_log", log)
                .number("records", *records)
                .number("expected", *expected);
            self.add(micros_now(), &body);
        }
        if found.torn.is_some() || found.damaged.is_some() || found.cut.is_some() {
            tracing::warn!(target: "pgtenant::audit", ?found, "the audit log was not as it was left");
        }
    }

    /// Writes until it is told to end and all is written.
    pub(super) fn run(mut self) {
        loop {
            let (frames, orders) = self
                .shared
                .wait(self.next_task(), std::mem::take(&mut self.spare));
            self.take(&frames);
            self.keep(frames);
            self.follow(orders.reopen, orders.options);
            self.write_out(orders.end);
            if orders.end {
                return self.end();
            }
        }
    }

    fn next_task(&self) -> Option<Instant> {
        let checkpoint = self
            .open_since
            .map(|since| since + self.options.checkpoint_interval);
        let sync = self.unsynced_since.map(|since| since + SYNC);
        let kept = self.kept.filter(|_| self.checkpoint.is_some());
        let keep = kept.map(|kept| kept + SYNC);
        checkpoint.into_iter().chain(sync).chain(keep).min()
    }

    /// Keeps the memory for the next records.
    fn keep(&mut self, frames: Frames) {
        self.spare = frames.bytes;
        self.spare.clear();
        self.spare.shrink_to(KEPT);
    }

    /// Makes lines of the records.
    fn take(&mut self, frames: &Frames) {
        let mut rest = frames.bytes.as_slice();
        while let Some((micros, fields, behind)) = split(rest) {
            self.add(micros, fields);
            rest = behind;
        }
        if frames.lost > 0 {
            let mut body = Vec::new();
            ledger::lost(frames.lost, &mut body);
            self.add(micros_now(), &body);
            tracing::warn!(target: "pgtenant::audit", records = frames.lost, "audit records were lost");
        }
        let due = self
            .open_since
            .map(|since| since + self.options.checkpoint_interval);
        if due.is_some_and(|due| due <= Instant::now()) {
            self.add_checkpoint();
        }
        self.bytes += frames.bytes.len();
        self.number = frames.number;
    }

    fn add(&mut self, micros: u64, fields: &[u8]) {
        let start = self.pending.len();
        if self.ledger.append(micros, fields, &mut self.pending) {
            self.note_checkpoint(start);
        } else {
            self.open_since.get_or_insert_with(Instant::now);
        }
        if self.options.rotate_size <= self.output.len() + self.pending.len() as u64 {
            self.rotate();
        }
    }

    fn add_checkpoint(&mut self) {
        let start = self.pending.len();
        self.ledger.checkpoint(micros_now(), &mut self.pending);
        self.note_checkpoint(start);
    }

    /// The last line, from `start` on, is a checkpoint.
    fn note_checkpoint(&mut self, start: usize) {
        let lines = self.pending.get(start..).unwrap_or_default();
        let front = lines.split_last().map_or(lines, |(_, front)| front);
        let before = memchr::memrchr(b'\n', front);
        let line = lines.get(before.map_or(0, |at| at + 1)..);
        let kept = self.checkpoint.get_or_insert_default();
        kept.clear();
        kept.extend_from_slice(line.unwrap_or_default());
        self.open_since = None;
    }

    fn event(&mut self, event: &Event<'_>) {
        let mut body = Vec::new();
        event.write(&mut body);
        self.add(micros_now(), &body);
    }

    fn follow(&mut self, reopen: bool, options: Option<Options>) {
        if let Some(options) = options {
            self.ledger
                .go_by(options.key.clone(), options.checkpoint_records);
            let path = self.options.path.clone();
            self.options = Options { path, ..options };
        }
        if reopen && self.output.was_renamed() && self.finish_file(false) {
            self.begin_file();
        }
    }

    /// Renames the file, as it is long enough, and begins another.
    fn rotate(&mut self) {
        let is_recent = |at: Instant| at.elapsed() < Duration::from_secs(10);
        if self.options.path.is_none() || self.rotated.is_some_and(is_recent) {
            return;
        }
        if !self.finish_file(false) {
            return;
        }
        match self.output.rename() {
            Ok(()) => self.begin_file(),
            Err(error) => {
                self.rotated = Some(Instant::now());
                tracing::error!(target: "pgtenant::audit", %error, "the audit log's file cannot be renamed");
            }
        }
    }

    /// Ends the file with a checkpoint. Says whether all is in it.
    fn finish_file(&mut self, ends: bool) -> bool {
        if self.ledger.is_open() {
            self.add_checkpoint();
        }
        // The end of a file is kept at once.
        self.kept = None;
        self.write_out(ends);
        self.sent == self.pending.len()
    }

    /// Opens a new file. While that fails, the log goes on in the old one.
    fn begin_file(&mut self) {
        let Some(path) = &self.options.path else {
            return;
        };
        match Output::open(path, self.ledger.next()) {
            Ok(output) => self.output = output,
            Err(error) => {
                tracing::error!(target: "pgtenant::audit", %error, "the audit log's file cannot be opened");
            }
        }
        self.ledger.begin_file(micros_now(), &mut self.pending);
        self.open_since.get_or_insert_with(Instant::now);
    }

    /// Writes what is to be written, however long it takes; where the process ends, if
    /// it can be done now.
    fn write_out(&mut self, ends: bool) {
        loop {
            match self.try_write() {
                Ok(()) => break,
                Err(error) => self.fails(&error),
            }
            let buffer = self.shared.buffer();
            if ends || buffer.orders.end {
                return;
            }
            drop(self.shared.sleep(buffer, Some(Instant::now() + AGAIN)));
        }
        if std::mem::take(&mut self.failing) {
            tracing::warn!(target: "pgtenant::audit", "the audit log can be written again");
        }
        self.written();
    }

    fn fails(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::error!(target: "pgtenant::audit", %error, "the audit log cannot be written");
        }
        self.shared.tell(None, true);
    }

    fn try_write(&mut self) -> io::Result<()> {
        let writes = self.sent < self.pending.len();
        while self.sent < self.pending.len() {
            self.send_some()?;
        }
        if writes {
            self.unsynced_since.get_or_insert_with(Instant::now);
        }
        let keeps = self.checkpoint.is_some() && self.kept.is_none_or(is_old);
        let since = self.unsynced_since;
        let is_due = match self.options.fsync {
            Fsync::Always => since.is_some(),
            // What is kept beside the log must not say more than the log.
            Fsync::Interval => since.is_some_and(is_old) || (since.is_some() && keeps),
            Fsync::Never => false,
        };
        if is_due {
            self.output.sync()?;
        }
        if is_due || self.options.fsync == Fsync::Never {
            self.unsynced_since = None;
        }
        if keeps {
            self.keep_checkpoint();
        }
        Ok(())
    }

    /// Keeps the last checkpoint beside the log: not each of many a second.
    fn keep_checkpoint(&mut self) {
        let Some(line) = self.checkpoint.take() else {
            return;
        };
        self.kept = Some(Instant::now());
        if let Err(error) = self.output.keep_checkpoint(&line) {
            tracing::warn!(target: "pgtenant::audit", %error, "the last checkpoint cannot be kept");
        }
        let line = String::from_utf8_lossy(&line);
        tracing::debug!(target: "pgtenant::audit", event = "checkpoint", line = line.trim_end());
    }

    fn send_some(&mut self) -> io::Result<()> {
        let rest = self.pending.get(self.sent..).unwrap_or_default();
        match self.output.write(rest) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                self.sent += written;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// All is written.
    fn written(&mut self) {
        self.pending.clear();
        self.pending.shrink_to(KEPT);
        self.sent = 0;
        self.shared.give_back(std::mem::take(&mut self.bytes));
        self.shared.tell(Some(self.number), false);
    }

    fn end(mut self) {
        self.event(&Event::Stop);
        self.finish_file(true);
        if self.options.fsync != Fsync::Never {
            let _ = self.output.sync();
        }
    }
}

/// What tells a log from others.
fn new_id() -> io::Result<String> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(Hash::of(&bytes).to_string().chars().take(32).collect())
}
