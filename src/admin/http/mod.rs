//! HTTP for those who watch the process: health, metrics, a page for people.
//!
//! It runs on a thread of its own. A scrape, a TLS handshake or a password takes time
//! that no client of the proxy waits for, a worker that hangs can be told of, and there
//! is an answer until the process ends.

mod accept;
mod access;
mod answer;
mod browsers;
mod content;
mod form;
mod health;
mod page;
mod patient;
mod places;
mod proof;
mod routes;

pub use crate::metrics::Format;
pub use access::Access;
pub use health::Check;

use crate::admin::page::{Errands, Picture, Shown};
use crate::login::Throttle;
use browsers::Browsers;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, Semaphore, oneshot, watch};

/// Passwords that are computed at a time.
const PASSWORDS: usize = 2;
/// Answers with all metrics that are written at a time: each takes a thread.
const WRITTEN: usize = 4;
/// Pages that are refreshed at a time.
const FEEDS: usize = 32;
/// Threads for what takes a while. Two take the picture, draw the page, or do what a form
/// asks for.
const THREADS: usize = PASSWORDS + WRITTEN + 2;

/// What there is to be seen of the process.
pub trait Observed: Send + Sync + 'static {
    /// What the page shows.
    type Shown: Shown;

    /// What the page shows.
    fn shown(&self) -> &Self::Shown;

    /// Whether the workers get on with their work.
    fn liveness(&self) -> impl Future<Output = Vec<Check>> + Send;

    /// Whether clients can be served.
    fn readiness(&self) -> Vec<Check>;

    /// Writes all metrics.
    ///
    /// # Errors
    /// If they cannot be written to `out`.
    fn metrics(&self, format: Format, out: &mut dyn fmt::Write) -> fmt::Result;
}

/// A server that listens, and does not serve yet.
#[derive(Debug)]
pub struct Http {
    listeners: Vec<TcpListener>,
    access: watch::Receiver<Arc<Access>>,
    throttle: Arc<Throttle>,
}

/// A server that serves until this is dropped.
#[derive(Debug)]
pub struct Serving {
    #[expect(dead_code, reason = "dropping it ends the server")]
    running: oneshot::Sender<()>,
}

/// What all connections share.
#[derive(Debug)]
struct Server<O> {
    observed: O,
    throttle: Arc<Throttle>,
    passwords: Semaphore,
    written: Arc<Semaphore>,
    feeds: Arc<Semaphore>,
    browsers: Browsers,
    errands: Errands,
    /// The last picture and when it was taken: all who look share it.
    picture: Mutex<Option<(Instant, Arc<Picture>)>>,
}

impl<O: Observed> Server<O> {
    /// A picture of the process that is at most so old. `None`: the process is ending.
    async fn picture(self: &Arc<Self>, age: Duration) -> Option<Arc<Picture>> {
        let mut last = self.picture.lock().await;
        if let Some((at, picture)) = &*last
            && at.elapsed() <= age
        {
            return Some(picture.clone());
        }
        let server = self.clone();
        let take = move || Picture::take(server.observed.shown(), server.observed.readiness());
        let picture = Arc::new(tokio::task::spawn_blocking(take).await.ok()?);
        *last = Some((Instant::now(), picture.clone()));
        Some(picture)
    }
}

impl Http {
    /// A server on these sockets, which lets in whom the last `access` lets in.
    #[must_use]
    pub fn new(
        listeners: Vec<TcpListener>,
        access: watch::Receiver<Arc<Access>>,
        throttle: Arc<Throttle>,
    ) -> Self {
        Self {
            listeners,
            access,
            throttle,
        }
    }

    /// The addresses that are listened on.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let addresses = self.listeners.iter().map(TcpListener::local_addr);
        addresses.filter_map(Result::ok).collect()
    }

    /// Serves on a thread of its own.
    ///
    /// # Errors
    /// If the system has no thread or no randomness for it.
    pub fn start(self, observed: impl Observed) -> io::Result<Serving> {
        let scheme = self.access.borrow().scheme();
        for address in self.addresses() {
            tracing::info!(target: "pgtenant::admin", address = %format_args!("{scheme}://{address}"), "serving HTTP");
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(THREADS)
            .build()?;
        let (running, ended) = oneshot::channel();
        let server = Arc::new(Server {
            observed,
            throttle: self.throttle,
            passwords: Semaphore::new(PASSWORDS),
            written: Arc::new(Semaphore::new(WRITTEN)),
            feeds: Arc::new(Semaphore::new(FEEDS)),
            browsers: Browsers::new()?,
            errands: Errands::default(),
            picture: Mutex::default(),
        });
        let (listeners, access) = (self.listeners, self.access);
        let work = move || {
            runtime.block_on(async {
                accept::accept_all(listeners, &access, &server);
                // The sender is never used: it is dropped.
                let _ = ended.await;
            });
            runtime.shutdown_background();
        };
        std::thread::Builder::new()
            .name("admin".to_owned())
            .spawn(work)?;
        Ok(Serving { running })
    }
}
