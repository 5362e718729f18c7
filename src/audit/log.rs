//! The end of the log that everybody holds: records go into a bounded buffer, and a
//! thread of its own writes them.

use super::event::Event;
use super::options::Options;
use super::writer::Writer;
use crate::transport::ClientAddress;
use std::cell::RefCell;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// Most time that somebody waits for a record to be written.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most time that the end of the process waits for the last records.
const GOODBYE: Duration = Duration::from_secs(5);

/// What happens while the log cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Nothing goes on that must have a record.
    Stop,
    /// Records that are lost are counted.
    Count,
}

/// The log cannot take a record now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit log cannot be written")]
pub struct Unwritten;

/// The audit log, or none. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Log(Option<Arc<Shared>>);

/// What the log's holders and its writer share.
#[derive(Debug)]
pub(super) struct Shared {
    buffer: Mutex<Buffer>,
    pub(super) wake: Condvar,
    progress: watch::Sender<Progress>,
    /// Bytes that are promised or wait to be written.
    taken: AtomicUsize,
    failed: AtomicBool,
    stops: AtomicBool,
    most: usize,
    sessions: AtomicU64,
    lost: AtomicU64,
    /// What it goes by.
    options: Mutex<Options>,
}

/// What waits for the writer.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    /// Records: microseconds since 1970, length, fields.
    pub(super) frames: Vec<u8>,
    /// How many were put in, ever.
    pub(super) taken: u64,
    /// How many were not, since the last that was.
    pub(super) lost: u64,
    /// Somebody waits.
    pub(super) urgent: bool,
    pub(super) orders: Orders,
}

/// What the writer is told beside records.
#[derive(Debug, Default)]
pub(super) struct Orders {
    pub(super) reopen: bool,
    pub(super) options: Option<Options>,
    pub(super) end: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    written: u64,
    failed: bool,
}

/// How a log is doing since the process has started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Records that were taken.
    pub taken: u64,
    /// Those of them that are written.
    pub written: u64,
    /// Records that were lost.
    pub lost: u64,
    /// Bytes that wait to be written, or are promised to records to come.
    pub waiting_bytes: usize,
    /// The last try to write has failed.
    pub failed: bool,
}

/// A log that runs. What waits is written when this is dropped, if that can be done
/// within seconds.
#[derive(Debug)]
pub struct RunningLog {
    shared: Arc<Shared>,
    /// Disconnected once the thread has ended.
    ended: mpsc::Receiver<()>,
}

/// Room in the log for a record that will come.
#[derive(Debug)]
pub struct Room {
    shared: Arc<Shared>,
    bytes: usize,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.shared.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

thread_local! {
    /// Where records are written before they are put into the buffer, so that this
    /// takes no memory and no time under the lock.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The scratch keeps no more than this, in bytes.
const MOST_SCRATCH: usize = 64 << 10;

impl Log {
    /// No log: nothing is recorded.
    #[must_use]
    pub fn off() -> Self {
        Self(None)
    }

    /// Opens the log and starts its writer.
    ///
    /// # Errors
    /// If it cannot be opened, or the thread cannot be started.
    pub fn start(options: Options) -> io::Result<(Self, RunningLog)> {
        let shared = Arc::new(Shared {
            buffer: Mutex::default(),
            wake: Condvar::new(),
            progress: watch::Sender::default(),
            taken: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            stops: AtomicBool::new(options.on_failure == OnFailure::Stop),
            most: options.buffer,
            sessions: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            options: Mutex::new(options.clone()),
        });
        let writer = Writer::open(options, shared.clone())?;
        let (alive, ended) = mpsc::channel();
        let work = move || {
            writer.run();
            drop(alive);
        };
        let thread = std::thread::Builder::new().name("audit".to_owned());
        thread.spawn(work)?;
        let running = RunningLog {
            shared: shared.clone(),
            ended,
        };
        Ok((Self(Some(shared)), running))
    }

    /// How the log is doing; `None` where there is none.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        let shared = self.0.as_ref()?;
        let progress = *shared.progress.borrow();
        let buffer = shared.buffer();
        Some(Status {
            taken: buffer.taken,
            written: progress.written,
            lost: shared.lost.load(Ordering::Relaxed),
            waiting_bytes: shared.taken.load(Ordering::Relaxed),
            failed: progress.failed,
        })
    }

    /// What it goes by; `None` where there is none.
    #[must_use]
    pub fn options(&self) -> Option<Options> {
        self.0.as_ref().map(|shared| shared.options().clone())
    }

    /// Whether there is one.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// A number for a session, from 1 on; 0 where there is no log.
    #[must_use]
    pub fn next_session(&self) -> u64 {
        let shared = self.0.as_ref();
        shared.map_or(0, |shared| {
            shared.sessions.fetch_add(1, Ordering::Relaxed) + 1
        })
    }

    /// Records something. It is lost, and counted, where the log cannot take it.
    pub fn record(&self, event: &Event<'_>) {
        if let Some(shared) = &self.0 {
            let _ = shared.put(event, false, false);
        }
    }

    /// Records a command of an administrator, and what came of it.
    pub fn admin_command(&self, user: &str, address: ClientAddress, command: &str, outcome: &str) {
        self.record(&Event::AdminCommand {
            user,
            address,
            command,
            outcome,
        });
    }

    /// Records something that there was [`room`](Self::room) kept for.
    pub fn record_in(&self, room: Option<Room>, event: &Event<'_>) {
        if let Some(shared) = &self.0 {
            let _ = shared.put(event, room.is_some(), false);
            drop(room);
        }
    }

    /// Records something that must not happen without its record: returns once it is
    /// written, or at once where it may go on without.
    ///
    /// # Errors
    /// If the log cannot be written and `on_failure = "stop"`.
    pub async fn settle(&self, event: &Event<'_>) -> Result<(), Unwritten> {
        let Some(shared) = &self.0 else {
            return Ok(());
        };
        if !shared.stops() {
            let _ = shared.put(event, false, false);
            return Ok(());
        }
        if shared.failed.load(Ordering::Relaxed) {
            return Err(Unwritten);
        }
        let number = shared.put(event, false, true)?;
        let mut progress = shared.progress.subscribe();
        let settled = progress.wait_for(|now| now.failed || now.written >= number);
        match tokio::time::timeout(PATIENCE, settled).await {
            Ok(Ok(now)) if now.written >= number => Ok(()),
            _ => Err(Unwritten),
        }
    }

    /// Keeps room for a record of about `bytes` bytes; none is needed where there is no
    /// log, or where records may be lost.
    ///
    /// # Errors
    /// If the log cannot be written and `on_failure = "stop"`.
    pub fn room(&self, bytes: usize) -> Result<Option<Room>, Unwritten> {
        match &self.0 {
            Some(shared) if shared.stops() => {
                if shared.failed.load(Ordering::Relaxed) {
                    return Err(Unwritten);
                }
                shared.take(bytes)?;
                let shared = shared.clone();
                Ok(Some(Room { shared, bytes }))
            }
            _ => Ok(None),
        }
    }

    /// Opens the file again, which may have been renamed.
    pub fn reopen(&self) {
        self.order(|orders| orders.reopen = true);
    }

    /// Goes by other options from now on. What it writes to stays the same.
    pub fn go_by(&self, options: Options) {
        if let Some(shared) = &self.0 {
            let stops = options.on_failure == OnFailure::Stop;
            shared.stops.store(stops, Ordering::Relaxed);
            let mut own = shared.options();
            let path = own.path.take();
            *own = Options {
                path,
                ..options.clone()
            };
        }
        self.order(|orders| orders.options = Some(options));
    }

    fn order(&self, order: impl FnOnce(&mut Orders)) {
        if let Some(shared) = &self.0 {
            order(&mut shared.buffer().orders);
            shared.wake.notify_one();
        }
    }
}

impl Shared {
    fn options(&self) -> MutexGuard<'_, Options> {
        self.options.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stops(&self) -> bool {
        self.stops.load(Ordering::Relaxed)
    }

    /// With so many bytes the writer gathers no longer: there must be room for others.
    pub(super) fn half(&self) -> usize {
        self.most / 2
    }

    fn take(&self, bytes: usize) -> Result<(), Unwritten> {
        let before = self.taken.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > self.most {
            self.give_back(bytes);
            return Err(Unwritten);
        }
        Ok(())
    }

    /// So many bytes are written.
    pub(super) fn give_back(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// All records up to this one are written, or cannot be.
    pub(super) fn tell(&self, written: Option<u64>, failed: bool) {
        self.failed.store(failed, Ordering::Relaxed);
        self.progress.send_modify(|progress| {
            progress.failed = failed;
            progress.written = written.unwrap_or(progress.written);
        });
    }

    /// Returns the record's number.
    fn put(&self, event: &Event<'_>, has_room: bool, urgent: bool) -> Result<u64, Unwritten> {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            event.write(scratch);
            let put = self.put_fields(scratch, has_room, urgent);
            scratch.shrink_to(MOST_SCRATCH);
            put
        })
    }

    fn put_fields(&self, fields: &[u8], has_room: bool, urgent: bool) -> Result<u64, Unwritten> {
        let micros = micros_now().to_le_bytes();
        let len = (fields.len() as u64).to_le_bytes();
        let bytes = micros.len() + len.len() + fields.len();
        let taken = match has_room {
            // What was kept for it goes with the room.
            true => {
                self.taken.fetch_add(bytes, Ordering::Relaxed);
                Ok(())
            }
            false => self.take(bytes),
        };
        let mut buffer = self.buffer();
        if let Err(unwritten) = taken {
            buffer.lost += 1;
            self.lost.fetch_add(1, Ordering::Relaxed);
            return Err(unwritten);
        }
        let before = buffer.frames.len();
        for part in [&micros[..], &len[..], fields] {
            buffer.frames.extend_from_slice(part);
        }
        buffer.taken += 1;
        let is_half = before < self.half() && buffer.frames.len() >= self.half();
        let wakes = before == 0 || is_half || (urgent && !buffer.urgent);
        buffer.urgent |= urgent;
        let number = buffer.taken;
        drop(buffer);
        if wakes {
            self.wake.notify_one();
        }
        Ok(number)
    }
}

impl Drop for RunningLog {
    fn drop(&mut self) {
        self.shared.buffer().orders.end = true;
        self.shared.wake.notify_one();
        let _ = self.ended.recv_timeout(GOODBYE);
    }
}

/// Microseconds since 1970.
pub(super) fn micros_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, super::event::micros)
}
