//! The keys of an issuer, fetched from an address and kept up to date.
//!
//! One task for each address fetches; logins only look at what it has, and tell
//! it when they need newer keys. So there is one request at a time and no more
//! than one in `refresh_floor`, however many ask, and a client that leaves takes
//! no request with it.

use super::fetch::fetch;
use crate::config::JwksUrl;
use crate::jwt::Keys;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

/// How soon a request that failed is made again.
const RETRY: Duration = Duration::from_secs(10);

/// Keys of one address. Dropping it ends the fetching.
#[derive(Debug)]
pub(super) struct FetchedKeys {
    from: Arc<JwksUrl>,
    state: watch::Receiver<State>,
    wanted: Arc<Notify>,
    task: AbortHandle,
}

#[derive(Debug)]
struct State {
    keys: Arc<Keys>,
    /// Requests that were begun.
    begun: u64,
    /// Requests that are over.
    over: u64,
    /// When the next one may be begun.
    next: Instant,
    /// When the keys were fetched.
    fetched: Option<Instant>,
    /// Why the last one failed.
    trouble: Option<String>,
}

impl FetchedKeys {
    /// Begins to fetch, on the runtime of the caller. `name` is the section's.
    pub(super) fn start(name: &str, from: Arc<JwksUrl>) -> Arc<Self> {
        let wanted = Arc::new(Notify::new());
        let (publish, state) = watch::channel(State {
            keys: Arc::default(),
            begun: 0,
            over: 0,
            next: Instant::now(),
            fetched: None,
            trouble: None,
        });
        let keep = keep(name.to_owned(), from.clone(), publish, wanted.clone());
        let task = tokio::spawn(keep).abort_handle();
        Arc::new(Self {
            from,
            state,
            wanted,
            task,
        })
    }

    /// Whether they are fetched from this address in the same way.
    pub(super) fn are_from(&self, from: &JwksUrl) -> bool {
        *self.from == *from
    }

    /// How long ago the keys were fetched; `None` if they never could be.
    pub(super) fn age(&self) -> Option<Duration> {
        self.state.borrow().fetched.map(|fetched| fetched.elapsed())
    }

    /// The keys as they are, and as they become.
    pub(super) fn newest(&self) -> Newest<'_> {
        let state = self.state.clone();
        let enough = state.borrow().begun + 1;
        Newest {
            wanted: &self.wanted,
            state,
            enough,
        }
    }
}

impl Drop for FetchedKeys {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The keys, for one login.
pub(super) struct Newest<'k> {
    wanted: &'k Notify,
    state: watch::Receiver<State>,
    /// The first request that was begun after the login.
    enough: u64,
}

impl Newest<'_> {
    /// The keys as they are now.
    pub(super) fn keys(&self) -> Arc<Keys> {
        self.state.borrow().keys.clone()
    }

    /// Waits until they have been fetched once more. False if nothing newer can
    /// be had by `deadline`, or they are newer than the login already.
    pub(super) async fn newer(&mut self, deadline: Instant) -> bool {
        let over = {
            let state = self.state.borrow_and_update();
            if state.over >= self.enough {
                return false;
            }
            if state.begun == state.over {
                // Also for those who come after this login, if it cannot wait.
                self.wanted.notify_one();
                if state.next >= deadline {
                    return false;
                }
            }
            state.over
        };
        loop {
            match timeout_at(deadline, self.state.changed()).await {
                Ok(Ok(())) if self.state.borrow_and_update().over > over => return true,
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return false,
            }
        }
    }

    /// Why the last request failed, if it did.
    pub(super) fn trouble(&self) -> Option<String> {
        self.state.borrow().trouble.clone()
    }
}

/// Fetches at once, then after `refresh` or when newer keys are wanted.
async fn keep(
    name: String,
    from: Arc<JwksUrl>,
    publish: watch::Sender<State>,
    wanted: Arc<Notify>,
) {
    loop {
        // Who has asked until now is answered by this request.
        tokio::select! {
            biased;
            () = wanted.notified() => {}
            () = std::future::ready(()) => {}
        }
        let begun = Instant::now();
        let next = begun + from.refresh_floor;
        publish.send_modify(|state| {
            state.begun += 1;
            state.next = next;
        });
        let fetched = fetch(&from).await.and_then(|text| {
            let keys = Keys::from_jwks(&text);
            keys.map_err(|error| format!("the answer {error}"))
        });
        match &fetched {
            Ok(keys) => {
                tracing::debug!(target: "pgtenant::jwt", issuer = name, keys = keys.len(), "fetched the keys");
            }
            Err(error) => {
                tracing::warn!(target: "pgtenant::jwt", issuer = name, %error, "cannot fetch the keys; those that are known stay");
            }
        }
        let failed = fetched.is_err();
        publish.send_modify(|state| {
            state.over = state.begun;
            match fetched {
                Ok(keys) => {
                    state.keys = Arc::new(keys);
                    state.fetched = Some(begun);
                    state.trouble = None;
                }
                Err(error) => state.trouble = Some(error),
            }
        });
        let pause = match failed {
            true => RETRY.min(from.refresh),
            false => from.refresh,
        };
        tokio::select! {
            () = sleep_until(begun + pause) => {}
            () = wanted.notified() => {}
        }
        sleep_until(next).await;
    }
}
