//! Worker threads: each serves its share of the clients on a runtime of its
//! own, so that no wake-up crosses threads.

use super::admit::{Newcomer as Client, admit};
use super::places::Place;
use super::watched::{attended, watched};
use super::{Shared, Stop};
use crate::login::InProgress;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};

/// The workers, as the listeners see them.
#[derive(Debug, Clone)]
pub(super) struct Workers {
    shared: Arc<Shared>,
    inboxes: Arc<[Inbox]>,
    presence: Arc<Presence>,
}

#[derive(Debug)]
struct Inbox {
    sender: mpsc::UnboundedSender<Newcomer>,
    clients: Arc<AtomicUsize>,
}

/// Counts the clients that are there.
#[derive(Debug, Default)]
struct Presence {
    clients: AtomicUsize,
    left: Notify,
}

/// A client on its way to a worker.
#[derive(Debug)]
struct Newcomer {
    stream: Stream,
    address: SocketAddr,
    /// `None`: there are too many already.
    place: Option<Place>,
    /// `None`: too many from its address are logging in.
    progress: Option<InProgress>,
    here: Here,
}

/// A client's connection on its way to a worker.
#[derive(Debug)]
enum Stream {
    /// To the one on whose runtime it was accepted, where it is known already.
    Here(TcpStream),
    /// To another's runtime.
    Elsewhere(std::net::TcpStream),
}

/// A client's presence; it ends when this is dropped.
#[derive(Debug)]
struct Here {
    presence: Arc<Presence>,
    of_worker: Arc<AtomicUsize>,
}

impl Workers {
    /// Starts the workers. The first shares the caller's runtime.
    pub(super) fn start(count: usize, shared: &Arc<Shared>, stop: &Stop) -> io::Result<Self> {
        let mut inboxes = Vec::with_capacity(count);
        for n in 0..count {
            let (sender, inbox) = mpsc::unbounded_channel();
            let work = work(n, inbox, shared.clone(), stop.clone());
            if n == 0 {
                tokio::spawn(work);
            } else {
                spawn_thread(n, work)?;
            }
            inboxes.push(Inbox {
                sender,
                clients: Arc::default(),
            });
        }
        Ok(Self {
            shared: shared.clone(),
            inboxes: inboxes.into(),
            presence: Arc::default(),
        })
    }

    /// Gives a new client to the worker with the fewest.
    pub(super) fn assign(&self, stream: TcpStream, address: SocketAddr) {
        let fewest = self
            .inboxes
            .iter()
            .enumerate()
            .min_by_key(|(_, inbox)| inbox.clients.load(Ordering::Relaxed));
        let stream = match fewest {
            // It shares the listeners' runtime.
            Some((0, _)) => Ok(Stream::Here(stream)),
            _ => stream.into_std().map(Stream::Elsewhere),
        };
        let (Some((_, inbox)), Ok(stream)) = (fewest, stream) else {
            return;
        };
        let progress = self.shared.throttle.arrive(address.ip());
        let newcomer = Newcomer {
            stream,
            address,
            place: progress.as_ref().and_then(|_| self.shared.places.take()),
            progress,
            here: Here::new(&self.presence, &inbox.clients),
        };
        // A worker that has ended serves nobody; dropping closes the socket.
        let _ = inbox.sender.send(newcomer);
    }

    /// How many clients there are.
    pub(super) fn clients(&self) -> usize {
        self.presence.clients.load(Ordering::Relaxed)
    }

    /// Completes when the last client has left.
    pub(super) async fn left(&self) {
        loop {
            let left = self.presence.left.notified();
            if self.clients() == 0 {
                return;
            }
            left.await;
        }
    }
}

fn spawn_thread(n: usize, work: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name(format!("worker-{n}"))
        .spawn(move || runtime.block_on(work))?;
    Ok(())
}

async fn work(
    worker: usize,
    mut inbox: mpsc::UnboundedReceiver<Newcomer>,
    shared: Arc<Shared>,
    stop: Stop,
) {
    while let Some(newcomer) = inbox.recv().await {
        let (shared, stop) = (shared.clone(), stop.clone());
        tokio::spawn(async move {
            let Newcomer {
                stream,
                address,
                place,
                progress,
                here,
            } = newcomer;
            let stream = match stream {
                Stream::Here(stream) => Ok(stream),
                Stream::Elsewhere(stream) => TcpStream::from_std(stream),
            };
            let Ok(stream) = stream else {
                return;
            };
            // Boxed once, here: what polls it need not have room for it.
            let client = Client {
                stream,
                address,
                has_place: place.is_some(),
                progress,
                worker,
                draining: stop.flags().draining.clone(),
            };
            let client = Box::pin(admit(client, shared));
            let Some(Some(admitted)) = watched(&stop, client).await else {
                return;
            };
            // In a task of its own, which has no room for all that a login needs.
            let flags = stop.flags().clone();
            tokio::spawn(async move {
                attended(flags, admitted.serve()).await;
                drop((place, here));
            });
        });
    }
}

impl Here {
    fn new(presence: &Arc<Presence>, of_worker: &Arc<AtomicUsize>) -> Self {
        presence.clients.fetch_add(1, Ordering::Relaxed);
        of_worker.fetch_add(1, Ordering::Relaxed);
        Self {
            presence: presence.clone(),
            of_worker: of_worker.clone(),
        }
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        self.of_worker.fetch_sub(1, Ordering::Relaxed);
        self.presence.clients.fetch_sub(1, Ordering::Relaxed);
        self.presence.left.notify_waiters();
    }
}
