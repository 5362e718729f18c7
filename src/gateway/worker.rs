//! Worker threads: each serves its share of the clients on a runtime of its
//! own, so that wake-ups seldom cross threads. A client can [move](Delivery::Moved) to
//! another.

use super::admit::{Newcomer as Client, admit};
use super::admitted::Admitted;
use super::balance::Runtimes;
use super::places::Place;
use super::watched::watched;
use super::{Control, Shared, Stop};
use crate::transport::{ClientAddress, Socket};
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::Poll;
use tokio::sync::{Notify, mpsc};

/// The workers, as the listeners see them.
#[derive(Debug, Clone)]
pub(super) struct Workers {
    inboxes: Arc<[Inbox]>,
    presence: Arc<Presence>,
}

#[derive(Debug)]
struct Inbox {
    sender: mpsc::UnboundedSender<Delivery>,
    clients: Arc<AtomicUsize>,
}

/// A client on its way to a worker.
#[derive(Debug)]
enum Delivery {
    Newcomer(Newcomer),
    /// From another worker.
    Moved(Box<Admitted>),
}

/// What a client takes up.
#[derive(Debug)]
pub(super) struct Stay {
    #[expect(dead_code, reason = "it is the client's until it is dropped")]
    place: Place,
    here: Here,
}

/// Counts the clients that are there.
#[derive(Debug, Default)]
struct Presence {
    clients: AtomicUsize,
    left: Notify,
}

/// A client that has connected.
#[derive(Debug)]
struct Newcomer {
    socket: Socket,
    /// It was accepted on another worker's runtime.
    from_elsewhere: bool,
    /// The other end of its connection.
    peer: ClientAddress,
    here: Here,
}

/// A client's presence; it ends when this is dropped.
#[derive(Debug)]
struct Here {
    presence: Arc<Presence>,
    of_worker: Arc<AtomicUsize>,
}

impl Workers {
    /// Starts the workers. The first shares the caller's runtime.
    pub(super) fn start(
        count: usize,
        shared: &Arc<Shared>,
        control: &Control,
        stop: &Stop,
    ) -> io::Result<(Self, Runtimes)> {
        let (mut inboxes, mut deliveries) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (sender, inbox) = mpsc::unbounded_channel();
            deliveries.push(inbox);
            inboxes.push(Inbox {
                sender,
                clients: Arc::default(),
            });
        }
        let workers = Self {
            inboxes: inboxes.into(),
            presence: Arc::default(),
        };
        let mut runtimes = Vec::new();
        for (number, inbox) in deliveries.into_iter().enumerate() {
            let worker = Worker {
                number,
                shared: shared.clone(),
                inboxes: Arc::downgrade(&workers.inboxes),
                control: control.clone(),
                stop: stop.clone(),
            };
            let work = worker.work(inbox);
            if number == 0 {
                tokio::spawn(work);
                runtimes.push(tokio::runtime::Handle::current());
            } else {
                runtimes.push(spawn_thread(number, work)?);
            }
        }
        Ok((workers, runtimes))
    }

    /// Gives a new client to the worker with the fewest.
    pub(super) fn assign(&self, socket: Socket, peer: ClientAddress) {
        let fewest = self
            .inboxes
            .iter()
            .enumerate()
            .min_by_key(|(_, inbox)| inbox.clients.load(Ordering::Relaxed));
        let Some((worker, inbox)) = fewest else {
            return;
        };
        let newcomer = Newcomer {
            socket,
            // The first shares the listeners' runtime.
            from_elsewhere: worker != 0,
            peer,
            here: Here::new(&self.presence, &inbox.clients),
        };
        // A worker that has ended serves nobody; dropping closes the socket.
        let _ = inbox.sender.send(Delivery::Newcomer(newcomer));
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

fn spawn_thread(
    number: usize,
    work: impl Future<Output = ()> + Send + 'static,
) -> io::Result<tokio::runtime::Handle> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new()
        .name(format!("worker-{number}"))
        .spawn(move || runtime.block_on(work))?;
    Ok(handle)
}

/// One worker.
#[derive(Debug)]
struct Worker {
    number: usize,
    shared: Arc<Shared>,
    /// Of all workers, which end with them.
    inboxes: Weak<[Inbox]>,
    control: Control,
    stop: Stop,
}

impl Worker {
    async fn work(self, mut inbox: mpsc::UnboundedReceiver<Delivery>) {
        let worker = Arc::new(self);
        while let Some(delivery) = inbox.recv().await {
            match delivery {
                Delivery::Newcomer(newcomer) => {
                    tokio::spawn(worker.clone().let_in(newcomer));
                }
                Delivery::Moved(client) => {
                    tokio::spawn(worker.clone().serve(client, true));
                }
            }
        }
    }

    /// Lets a client in, if it may, and serves it.
    async fn let_in(self: Arc<Self>, newcomer: Newcomer) {
        let Newcomer {
            mut socket,
            from_elsewhere,
            peer,
            here,
        } = newcomer;
        if from_elsewhere && socket.move_here().is_err() {
            return;
        }
        // Boxed once, here: what polls it need not have room for it.
        let client = Client {
            socket,
            peer,
            worker: self.number,
            control: self.control.clone(),
            draining: self.stop.flags().draining.clone(),
        };
        let client = Box::pin(admit(client, self.shared.clone()));
        if let Some(Some((mut client, place))) = watched(&self.stop, client).await {
            client.stay = Some(Stay { place, here });
            // In a task of its own, which has no room for all that a login needs.
            tokio::spawn(self.serve(client, false));
        }
    }

    /// Serves a client until it leaves, or goes on with another worker.
    /// `moved`: it comes from another.
    fn serve(
        self: Arc<Self>,
        mut client: Box<Admitted>,
        moved: bool,
    ) -> impl Future<Output = ()> + Send {
        if moved {
            client.settle(self.number, &self.shared);
        }
        // A block, not a function: that would have room for what it is given twice.
        async move {
            let served = {
                let mut serving = pin!(client.serve());
                // One look at a flag at each wake-up: who sets it wakes all sessions.
                std::future::poll_fn(|cx| {
                    let served = serving.as_mut().poll(cx);
                    match self.stop.flags().is_immediate() {
                        true => Poll::Ready(None),
                        false => served,
                    }
                })
                .await
            };
            match served {
                Some(worker) => self.send(client, worker),
                None => client.stopped(),
            }
        }
    }

    /// Sends a client that is in to another worker.
    fn send(&self, mut client: Box<Admitted>, worker: usize) {
        let inboxes = self.inboxes.upgrade();
        if let Some(inbox) = inboxes.as_ref().and_then(|all| all.get(worker)) {
            if let Some(stay) = &mut client.stay {
                stay.here.goes_to(inbox);
            }
            let _ = inbox.sender.send(Delivery::Moved(client));
        }
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

    /// It is another worker's.
    fn goes_to(&mut self, inbox: &Inbox) {
        inbox.clients.fetch_add(1, Ordering::Relaxed);
        self.of_worker.fetch_sub(1, Ordering::Relaxed);
        self.of_worker = inbox.clients.clone();
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        self.of_worker.fetch_sub(1, Ordering::Relaxed);
        self.presence.clients.fetch_sub(1, Ordering::Relaxed);
        self.presence.left.notify_waiters();
    }
}
