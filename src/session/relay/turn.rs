//! When nothing moves, or all is answered: whose turn it is, and whether the client
//! needs the server connection any more.

use super::Outcome;
use crate::protocol::ClientError;
use crate::session::end::End;
use crate::session::engine::{Link, Pinned};
use crate::session::leaving::Leaving;
use crate::session::{Exchange, Hold, Session};
use std::io;
use std::task::{Context, Poll};

impl Session {
    /// Nothing moves: whose turn is it?
    pub(super) fn wait(&mut self, exchange: &mut Exchange, cx: &mut Context<'_>) -> Poll<Outcome> {
        match &mut self.leaving {
            Leaving::No => {}
            // What runs is ended, or carried out, while the connection is closed.
            Leaving::Terminated => return Poll::Ready(Outcome::End(End::Terminated)),
            Leaving::HalfClosed(until) => {
                if self.progress {
                    until.put_off();
                }
                let waits = !exchange.link.is_clients_turn() && until.poll_over(cx).is_pending();
                if !waits {
                    let gone = io::ErrorKind::UnexpectedEof.into();
                    return Poll::Ready(Outcome::End(End::ClientGone(gone)));
                }
            }
        }
        if !exchange.link.is_idle() {
            self.engine.registration.begins_transaction();
        }
        // The client has more to send, or to read.
        let reads = !self.engine.client.output.is_empty() || exchange.link.scan.has_approved();
        let all_sent = exchange.lease.connection_mut().output().is_empty()
            && !self.engine.client.scan.has_approved();
        let waits_for_client = exchange.link.is_clients_turn() || reads;
        if all_sent && !waits_for_client {
            let moved = std::mem::take(&mut self.moved);
            self.engine.registration.awaits(moved);
        } else {
            self.engine.registration.awaits_nothing();
        }
        let clients_turn = waits_for_client && all_sent;
        if clients_turn {
            exchange.watch.pause();
        }
        let progress = std::mem::take(&mut self.progress);
        if progress {
            exchange.lease.busy();
        }
        // In session mode the connection is the client's all the time.
        if clients_turn && self.engine.maps_names {
            if exchange.lease.is_reclaimed() {
                return Poll::Ready(self.reclaimed(exchange));
            }
            let sends = self.engine.client.scan.is_within();
            let within = reads || sends || !exchange.link.is_idle();
            let hold = hold(&exchange.link);
            self.engine.registration.holds(hold, progress);
            exchange.lease.rest(within, cx.waker());
        } else {
            exchange.lease.busy();
        }
        Poll::Pending
    }

    /// Others need the connection, which the client holds for nothing: without
    /// its objects the client can go on, without its transaction or locks not.
    fn reclaimed(&mut self, exchange: &Exchange) -> Outcome {
        let link = &exchange.link;
        let sends = self.engine.client.scan.is_within();
        if !link.is_idle() || sends || link.pinned != Pinned::ByObjects {
            self.engine.meter.reclaims();
            return Outcome::End(End::for_others(link.status, link.is_idle() && !sends));
        }
        self.engine.lose(link);
        self.engine.meter.reclaims();
        self.engine.client.send_error(
            &ClientError::warning(
                "01000",
                "the objects of this session (temporary tables, prepared statements, cursors) are gone: other clients waited for its server connection",
            )
            .hint("Drop session objects when they are no longer used, or ask the administrator for a longer pool.reclaim_after."),
        );
        Outcome::Over
    }

    /// Whether the exchange has come to a point at which it is over or must be
    /// seen to.
    pub(super) fn at_rest(&mut self, exchange: &mut Exchange) -> Option<Outcome> {
        let link = &mut *exchange.link;
        let connection = exchange.lease.connection_mut();
        let client = &mut self.engine.client;
        let answered = link.is_answered() && !link.scan.has_approved();
        if !answered || !connection.output().is_empty() || client.scan.has_approved() {
            return None;
        }
        if link.parted {
            let is_over = link.is_idle()
                && link.pinned == Pinned::No
                && !link.is_unsure()
                && self.engine.settings.are_known();
            return Some(match is_over {
                true => Outcome::Over,
                false => Outcome::End(End::left_open()),
            });
        }
        let (pipe, mut tenant) = connection.parts_mut();
        if self.engine.follow_up(link, pipe, &mut tenant) {
            return None;
        }
        drop(tenant);
        let idle = link.is_idle() && !self.engine.client.scan.is_within();
        if self.has_left() {
            // An open transaction ends with its connection.
            return Some(if idle {
                Outcome::Over
            } else {
                Outcome::End(End::Terminated)
            });
        }
        if !idle || !exchange.lease.connection().input().is_empty() {
            return None;
        }
        if self.ends_after || self.leaves_at_rest() {
            return Some(Outcome::End(End::Stopped));
        }
        let keeps = exchange.link.pinned > Pinned::No || !self.engine.maps_names;
        let leaves = !matches!(self.leaving, Leaving::No) && self.engine.client.input.is_empty();
        if !keeps || leaves {
            return Some(Outcome::Over);
        }
        self.count(exchange);
        if !self.engine.client.input.is_empty() {
            exchange.watch.go_on();
        }
        if let Err(end) = self.apply_command(true) {
            return Some(Outcome::End(end));
        }
        let renews = exchange.link.is_doubted() || exchange.lease.connection().is_stale();
        renews.then_some(Outcome::Renew)
    }
}

/// Why a client keeps its connection while it does nothing.
fn hold(link: &Link) -> Hold {
    match link.pinned {
        _ if !link.is_idle() => Hold::Transaction,
        Pinned::No => Hold::No,
        Pinned::ByObjects => Hold::Objects,
        Pinned::ByLocks => Hold::Locks,
    }
}
