//! A client's task, and the proxy's stop beside it.

use super::Stop;
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering;
use std::task::Poll;

/// Runs `task` until it ends, or until nobody is waited for any more (`None`).
/// When draining begins the task is woken, so that it looks at the flag. While
/// the proxy runs this costs one look at the flag at each wake-up: the task's
/// waker stays the same, so that one registration lasts.
pub(super) async fn watched<T>(
    stop: &Stop,
    mut task: Pin<Box<impl Future<Output = T>>>,
) -> Option<T> {
    let flag = stop.flag();
    let mut draining = pin!(stop.draining());
    let mut immediate = pin!(stop.immediate());
    let (mut registered, mut told) = (false, false);
    std::future::poll_fn(|cx| {
        if !registered || flag.load(Ordering::Relaxed) {
            registered = true;
            if !told && draining.as_mut().poll(cx).is_ready() {
                told = true;
            }
            if immediate.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
        }
        task.as_mut().poll(cx).map(Some)
    })
    .await
}
