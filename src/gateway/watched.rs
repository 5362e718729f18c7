//! A client's task, and the proxy's stop beside it.

use super::Stop;
use super::stop::Flags;
use std::pin::{Pin, pin};
use std::task::Poll;

/// Runs a login until it ends, or until nobody is waited for any more (`None`).
pub(super) async fn watched<T>(stop: &Stop, task: Pin<Box<impl Future<Output = T>>>) -> Option<T> {
    tokio::select! {
        biased;
        () = stop.immediate() => None,
        done = task => Some(done),
    }
}

/// Runs a session, likewise. It costs one look at a flag at each wake-up, and no memory:
/// who sets the flag wakes all sessions by the registry.
pub(super) async fn attended<T>(flags: &Flags, session: impl Future<Output = T>) -> Option<T> {
    let mut session = pin!(session);
    std::future::poll_fn(|cx| match flags.is_immediate() {
        true => Poll::Ready(None),
        false => session.as_mut().poll(cx).map(Some),
    })
    .await
}
