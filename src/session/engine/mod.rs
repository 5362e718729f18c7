//! One client's messages and what becomes of each: bytes in, decisions and bytes
//! out. No sockets, no clock.
//!
//! An [`Engine`] holds what is the client's wherever its transactions run, a
//! [`Link`] what is known of the server session that it uses now. What is
//! believed of that session changes with the server's answers alone, in their
//! order ([`response`]): a message that is forwarded adds to the [`Outstanding`]
//! responses what it will mean *if* it is answered, and an error drops what the
//! server skips.
//!
//! Most messages may follow each other without waiting. The others are
//! *exclusive*: what they do must be known before anything is forwarded behind
//! them (resets, DEALLOCATE, PREPARE, COPY FROM STDIN, …), or what came before
//! must be known before they are. They wait until nothing is outstanding, and
//! the client's next message waits for their answer ([`Link::hold`]). So no two
//! of them, and no error in front of one, can make the picture differ from the
//! server's own state.

mod answering;
mod answers;
mod audited;
mod client_side;
mod completion;
mod content;
mod dispatch;
mod excess;
mod followup;
mod judge;
mod lending;
mod link;
mod lookup;
mod lost;
mod naming;
mod outstanding;
mod parting;
mod passthrough;
mod portals;
mod ready;
mod refusal;
mod request;
mod residue;
mod response;
mod server_error;
mod shape_check;
mod sql_prepared;
mod tally;
mod upstream;

pub(super) use client_side::ClientSide;
pub(super) use dispatch::SLOW_CLIENT;
pub(super) use excess::not_cancelled;
pub(super) use judge::{Judged, LONG_STATEMENT};
pub(super) use link::{Link, Pinned};
pub(super) use upstream::Up;

use super::interner::Interner;
use super::statements::Statements;
use super::{Registration, settings::Settings};
use crate::attach::SessionSettings;
use crate::config::Pin;
use crate::guard::Guard;
use crate::metrics::Meter;
use crate::observe::ClientSpan;
use crate::protocol::ClientError;
use crate::protocol::backend;
use crate::protocol::frontend::FrameError;
use crate::server::Parameters;
use crate::tenant::{LoginLimits, SharedTenant};
use answers::{Interrupt, OwnPortal};
use lost::Lost;
use std::sync::Arc;

/// What a client's messages and their answers are judged and followed by.
#[derive(Debug)]
pub(super) struct Engine {
    /// What comes from and goes to the client.
    pub(super) client: ClientSide,
    pub(super) guard: Arc<Guard>,
    pub(super) registration: Registration,
    pub(super) span: Arc<ClientSpan>,
    /// What is counted.
    pub(super) meter: Meter,
    pub(super) statements: Statements,
    pub(super) settings: Settings,
    /// The server's parameters, as the client knows them.
    told: Parameters,
    /// The verdict on the statement at the head of the buffer.
    pub(super) judged: Option<Judged>,
    /// What that verdict rests on, at least: [`Guard::as_of`].
    as_of: u64,
    /// Whose connections are attached to.
    pub(super) tenant: SharedTenant,
    /// What its login says beside it.
    pub(super) login: LoginLimits,
    interner: Arc<Interner>,
    /// Portals over what the proxy answers itself.
    portals: Vec<OwnPortal>,
    /// A session that is to be interrupted, and what the client is told then.
    interrupt: Option<Box<(Interrupt, Vec<u8>)>>,
    /// Temporary relations that were taken away: their names must not come to
    /// mean permanent ones. Boxed: few clients have lost any.
    lost: Option<Box<Lost>>,
    /// After an error without a server: everything up to the Sync.
    skipping: bool,
    /// How often it has begun to keep a server connection.
    pins: u32,
    /// It has prepared a statement that the proxy answers itself.
    has_answered: bool,
    /// Names of prepared statements are the client's alone: the server knows
    /// others. Not so in session mode.
    pub(super) maps_names: bool,
    /// What becomes of what a client leaves in its session.
    pub(super) pin: Pin,
}

/// What an engine is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) client: ClientSide,
    pub(super) guard: Arc<Guard>,
    pub(super) registration: Registration,
    pub(super) span: Arc<ClientSpan>,
    pub(super) interner: Arc<Interner>,
    pub(super) tenant: SharedTenant,
    pub(super) login: LoginLimits,
    /// The settings that it made at startup.
    pub(super) asked: SessionSettings,
    /// The same, restricted as its tenant is.
    pub(super) startup: SessionSettings,
    /// The server's parameters, as the client was told.
    pub(super) told: Parameters,
    pub(super) meter: Meter,
    pub(super) maps_names: bool,
    pub(super) pin: Pin,
}

/// What became of the client's next message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It is dealt with.
    Done,
    /// More bytes must come first.
    Incomplete,
    /// It must wait for answers of the server.
    Held,
    /// It can only be dealt with once there is a server connection.
    NeedsServer,
    /// Its text is so long that it is to be judged elsewhere first.
    Judge,
    /// It asks to interrupt a session: that is to be done before it is answered.
    Interrupt,
    /// The client says goodbye.
    Terminate,
}

/// Why the session cannot go on.
#[derive(Debug)]
pub(super) enum Fault {
    /// The client's bytes cannot be told apart.
    Client(FrameError),
    /// The client is told this.
    Told(ClientError),
    /// The server's answer is none that it could give.
    Server(&'static str),
}

impl From<FrameError> for Fault {
    fn from(error: FrameError) -> Self {
        Self::Client(error)
    }
}

impl From<backend::FrameError> for Fault {
    fn from(_: backend::FrameError) -> Self {
        Self::Server("a message that does not fit the protocol")
    }
}

impl Engine {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            client: parts.client,
            guard: parts.guard,
            registration: parts.registration,
            span: parts.span,
            meter: parts.meter,
            statements: Statements::default(),
            settings: Settings::new(
                parts.asked,
                parts.startup,
                parts.tenant.placement.attachment.search_path().cloned(),
            ),
            told: parts.told,
            judged: None,
            as_of: 0,
            tenant: parts.tenant,
            login: parts.login,
            interner: parts.interner,
            portals: Vec::new(),
            interrupt: None,
            lost: None,
            skipping: false,
            pins: 0,
            has_answered: false,
            maps_names: parts.maps_names,
            pin: parts.pin,
        }
    }

    /// Tells the client of the parameters of its server connection that differ from
    /// those that it knows: the server's answers are to be read by them.
    #[inline]
    pub(super) fn tell_parameters(&mut self, now: &mut Parameters) {
        if !now.joins(&self.told) {
            self.tell_differing(now);
        }
    }

    fn tell_differing(&mut self, now: &Parameters) {
        let told = std::mem::replace(&mut self.told, now.clone());
        self.client.send(|out| {
            for (name, value) in now.differing(&told) {
                backend::write_parameter_status(out, name, value);
            }
        });
    }

    /// Takes note that temporary relations are gone with the connection.
    pub(super) fn lose(&mut self, link: &Link) {
        let names = link.temporary();
        if !names.is_empty() {
            let lost = self.lost.get_or_insert_default();
            lost.extend(names.iter().map(|name| &**name));
        }
    }
}
