//! One client's session: which of its messages go where, and when.
//!
//! Between transactions a session holds no server connection. The first message
//! that needs one takes it from the pool and attaches the tenant in front of
//! the message; at the end of the transaction it goes back. The `engine`
//! decides, the `driver` and the `relay` move the bytes.

mod acquire;
mod cancel;
mod client;
mod control;
mod drain;
mod driver;
mod end;
mod engine;
mod give_back;
mod interner;
mod leaving;
mod orders;
mod parsing;
mod relay;
mod scan;
mod settings;
mod statements;

pub use cancel::{Hold, Member, Mover, Overdue, Registration, Registry, replica_of};
pub use cancel::{SessionGlance, SessionState, SessionView, Visitor};
pub use client::Client;
pub use drain::DrainLevel;
pub(crate) use drain::PARTS as DRAIN_PARTS;
pub use end::End;
pub use interner::Interner;
pub use orders::{Ending, Membership, Order, When};
pub use parsing::Parsing;
pub use scan::Scan;
pub use settings::restricted;

use crate::attach::{Bound, SessionSettings};
use crate::config::PoolMode;
use crate::directory::Principal;
use crate::guard::Guard;
use crate::metrics::{Meter, Stopwatch};
use crate::observe::ClientSpan;
use crate::pool::{Handle, Lease};
use crate::server::Parameters;
use engine::{Engine, Link};
use leaving::Leaving;
use std::sync::Arc;

/// What a session is made of.
#[derive(Debug)]
pub struct Parts {
    /// The logged-in client.
    pub client: Client,
    /// Who it is.
    pub principal: Principal,
    /// Where its server connections come from.
    pub pool: Arc<Handle>,
    /// What judges its statements.
    pub guard: Arc<Guard>,
    /// Statements that clients share.
    pub interner: Arc<Interner>,
    /// Turns at parsing long statements.
    pub parsing: Arc<Parsing>,
    /// What a cancel request finds the session by.
    pub registration: Registration,
    /// The settings that it made at startup.
    pub asked: SessionSettings,
    /// The same, restricted as its tenant is: what a reset goes back to.
    pub startup: SessionSettings,
    /// The server's parameters, as the client was told.
    pub told: Parameters,
    /// Once it has reached the session, that ends at the next end of a transaction.
    pub draining: Arc<DrainLevel>,
    /// What its log events belong to.
    pub span: Arc<ClientSpan>,
    /// What it counts with.
    pub meter: Meter,
}

/// A client's session.
#[derive(Debug)]
pub struct Session {
    engine: Engine,
    socket: client::Socket,
    pool: Arc<Handle>,
    parsing: Arc<Parsing>,
    draining: Arc<DrainLevel>,
    /// How the client is on its way out, if it is.
    leaving: Leaving,
    /// It was to leave when its transaction began, and does at its end.
    ends_after: bool,
    /// Something has come from the client, or gone to it.
    progress: bool,
    /// Something has gone to the server, or come from it.
    moved: bool,
}

/// A server connection in use.
#[derive(Debug)]
struct Exchange {
    lease: Lease<Bound>,
    link: Box<Link>,
    watch: Stopwatch,
}

impl Session {
    /// Whether it is to leave, though its client has done nothing that ends now: one that
    /// has just been used is about to be used again.
    fn leaves_at_rest(&self) -> bool {
        self.is_draining() && (self.draining.is_forced() || self.engine.registration.rests())
    }

    /// A session whose client has been told that it is in.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let settings = parts.pool.pool().settings();
        let (socket, client) = parts.client.split();
        let engine = Engine::new(engine::Parts {
            client,
            guard: parts.guard,
            registration: parts.registration,
            span: parts.span,
            interner: parts.interner,
            tenant: parts.principal.tenant,
            login: parts.principal.limits,
            asked: parts.asked,
            startup: parts.startup,
            told: parts.told,
            meter: parts.meter,
            maps_names: settings.mode == PoolMode::Transaction,
            pin: settings.pin,
        });
        Self {
            engine,
            socket,
            pool: parts.pool,
            parsing: parts.parsing,
            draining: parts.draining,
            leaving: Leaving::No,
            ends_after: false,
            progress: false,
            moved: false,
        }
    }

    /// Whether it is to leave, now that it is in no transaction.
    fn is_draining(&self) -> bool {
        self.draining.has_reached(self.engine.registration.pid())
    }

    /// Why it is to end in the midst of whatever it does, if it is.
    fn ends_at_once(&self) -> Option<End> {
        if self.draining.is_over() {
            return Some(End::Stopped);
        }
        let ending = self.engine.registration.ending_at_once();
        ending.map(End::Ordered)
    }

    fn has_left(&self) -> bool {
        matches!(self.leaving, Leaving::Terminated)
    }
}
