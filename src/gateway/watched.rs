//! A client's login, and the proxy's stop beside it.

use super::Stop;
use std::pin::Pin;

/// Runs a login until it ends, or until nobody is waited for any more (`None`).
pub(super) async fn watched<T>(stop: &Stop, task: Pin<Box<impl Future<Output = T>>>) -> Option<T> {
    tokio::select! {
        biased;
        () = stop.immediate() => None,
        done = task => Some(done),
    }
}
