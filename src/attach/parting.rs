//! A scrub that is sent behind its client's last messages, before these are answered:
//! where others wait for the connection, the server goes on with it by itself, and the
//! next tenant need not wait for one exchange more.
//!
//! What is handed over is the same as with any other scrub: a connection that
//! [settles](Connection::settle) when the server has confirmed it, and that nobody gets
//! before. If the client's messages leave a transaction open, `DISCARD ALL` fails in it;
//! if one of them ends the session, it is not answered: both close the connection.
//! Nothing may be sent behind it before the connection is parked.

use super::answer::Answer;
use super::cleanup::{Parked, Random};
use super::script::Script;
use super::{Attached, Attaching, Bound, Relayed};
use crate::server::Connection;
use std::collections::VecDeque;
use std::time::Instant;

/// A scrub that is under way, behind what its client waits for.
#[derive(Debug)]
pub(super) struct Parting {
    answers: VecDeque<Answer>,
    /// What may be known of the state of `random()` behind it.
    random: Random,
}

/// A state in which a client's messages are sent.
trait Attaches: Relayed {
    fn attached(&mut self) -> &mut Attached;
}

impl Attaches for Bound {
    fn attached(&mut self) -> &mut Attached {
        &mut self.0
    }
}

impl Attaches for Attaching {
    fn attached(&mut self) -> &mut Attached {
        &mut self.attached
    }
}

impl Connection<Bound> {
    /// Queues what takes everything away behind what is queued already: the last that its
    /// client sends. `random`: what it may know then.
    pub fn scrub_behind(&mut self, random: Random) {
        scrub_behind(self, random);
    }

    /// The connection as the pool keeps it: the client's answers are seen, and those to
    /// what takes everything away are still to come.
    pub(super) fn parted(mut self, parting: Parting) -> Connection<Parked> {
        self.prepared().clear();
        let Parting { answers, random } = parting;
        let (connection, _) = self.split();
        // What came before it may have taken its time.
        connection.with_state(Parked::emptied(random, answers, Instant::now()))
    }
}

impl Connection<Attaching> {
    /// The same as for a [connection that is bound](Connection::<Bound>::scrub_behind),
    /// with the attachment in front of the client's messages.
    pub fn scrub_behind(&mut self, random: Random) {
        scrub_behind(self, random);
    }
}

fn scrub_behind<S: Attaches>(connection: &mut Connection<S>, random: Random) {
    let attached = connection.state_mut().attached();
    if attached.parting.is_some() {
        return;
    }
    let has_timeout = attached.settings.has_timeout();
    let known = attached.random.max(random);
    let (seed, random) = connection.seed(known);
    let mut script = Script::new(connection);
    if has_timeout {
        script.lift_timeouts();
    }
    script.scrub(seed);
    let (answers, _) = script.finish();
    connection.state_mut().attached().parting = Some(Box::new(Parting { answers, random }));
}
