//! Changing the running proxy.

use super::Shared;
use super::changes::{Changes, Sections};
use super::expiry;
use super::live::{Live, pool_settings};
use crate::config::{Log, Settings};
use crate::directory::Directory;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Changes what a running proxy goes by, without dropping a client.
#[derive(Debug, Clone)]
pub struct Control {
    shared: Arc<Shared>,
    /// What the process was started with and cannot change.
    started: Arc<Started>,
    /// One change at a time; with what the last one has led to.
    turn: Arc<Mutex<Sections>>,
}

/// What needs a restart to change.
#[derive(Debug)]
struct Started {
    listen: crate::config::Listen,
    mode: crate::config::PoolMode,
    log: Log,
}

impl Control {
    pub(super) fn new(shared: Arc<Shared>, settings: &Settings) -> Self {
        Self {
            shared,
            started: Arc::new(Started {
                listen: settings.listen.clone(),
                mode: settings.pool.mode,
                log: settings.log.clone(),
            }),
            turn: Arc::new(Mutex::new(Sections::of(settings))),
        }
    }

    /// Goes by other settings from now on: new clients at once, sessions from
    /// their next transaction on. Returns the keys whose new values wait for a
    /// restart, and what has changed.
    ///
    /// # Errors
    /// If the system has no randomness; then nothing has changed.
    pub fn reload(&self, mut settings: Settings) -> io::Result<(Vec<&'static str>, Changes)> {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = self.started.differing(&settings);
        settings.listen.workers = self.started.listen.workers;
        settings.pool.mode = self.started.mode;
        let before = self.shared.live.load_full();
        let mut live = Live::new(&mut settings, Some(&before), &self.shared.catalogs)?;
        Arc::make_mut(&mut live.directory).keep_unchanged(&before.directory);
        let sections = Sections::of(&settings);
        let changes = Changes {
            sections: turn.differing(&sections),
            ..Changes::of_directory(&before.directory, &live.directory)
        };
        *turn = sections;
        self.shared.places.set_most(live.listen.max_clients);
        self.shared.throttle.configure(settings.throttle);
        let catalogs = &self.shared.catalogs;
        catalogs.replace(settings.servers.clone(), &settings.isolations);
        let pool = pool_settings(&settings);
        let retired = self.shared.pools.replace(settings.servers, pool);
        expiry::tell(&live.tls);
        self.go_by(live);
        // Everybody has been told of the new ones.
        for pool in retired {
            pool.retire();
        }
        Ok((waiting, changes))
    }

    /// Replaces every server connection, each as soon as nobody uses it.
    pub fn renew_connections(&self) {
        self.shared.pools.renew();
    }

    /// Goes by another directory from now on.
    pub fn replace_directory(&self, mut directory: Directory) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut live = Live::clone(&self.shared.live.load());
        directory.keep_unchanged(&live.directory);
        live.directory = Arc::new(directory);
        self.go_by(live);
    }

    /// Ends the sessions of tenants that cannot be served any more, as soon as that is
    /// found; for ever.
    pub(super) async fn end_unfit(self) {
        loop {
            self.shared.catalogs.changed().await;
            let control = self.clone();
            let work = move || {
                let _turn = control.turn.lock().unwrap_or_else(PoisonError::into_inner);
                let live = control.shared.live.load_full();
                let pools = &control.shared.pools;
                let registry = &control.shared.registry;
                registry.survey(|member| live.order(member, pools));
            };
            let _ = tokio::task::spawn_blocking(work).await;
        }
    }

    fn go_by(&self, live: Live) {
        let live = Arc::new(live);
        self.shared.live.store(live.clone());
        let pools = &self.shared.pools;
        self.shared
            .registry
            .survey(|member| live.order(member, pools));
    }
}

impl Started {
    /// The keys that differ and cannot be changed.
    fn differing(&self, settings: &Settings) -> Vec<&'static str> {
        let (old, new) = (&self.listen, &settings.listen);
        [
            ("listen.address", old.addresses != new.addresses),
            ("listen.workers", old.workers != new.workers),
            (
                "listen.drain_timeout",
                old.drain_timeout != new.drain_timeout,
            ),
            ("pool.mode", self.mode != settings.pool.mode),
            ("log", self.log != settings.log),
        ]
        .into_iter()
        .filter_map(|(key, differs)| differs.then_some(key))
        .collect()
    }
}
