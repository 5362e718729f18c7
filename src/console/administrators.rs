//! The administrators who are logged in, for `SHOW CLIENTS`.

use crate::tenant::LoginName;
use crate::transport::ClientAddress;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Those who are there, by a number of their own.
#[derive(Debug, Default)]
pub struct Administrators(Mutex<Here>);

#[derive(Debug, Default)]
struct Here {
    last: u64,
    all: BTreeMap<u64, Administrator>,
}

/// One who is logged in.
#[derive(Debug, Clone)]
pub struct Administrator {
    /// Its name.
    pub user: LoginName,
    /// The console's database that it asked for.
    pub database: Box<str>,
    /// Where it comes from.
    pub address: ClientAddress,
    /// Where it has come to.
    pub local: Option<SocketAddr>,
    /// When it logged in.
    pub connected: SystemTime,
    /// When it asked last.
    pub asked: SystemTime,
    /// Its `application_name`.
    pub application: Box<str>,
    /// Protocol and cipher suite, over TLS.
    pub tls: Option<Box<str>>,
}

/// That one is there, until this is dropped.
#[derive(Debug)]
pub struct Presence {
    administrators: Arc<Administrators>,
    number: u64,
}

impl Administrators {
    /// Takes note that one has logged in.
    #[must_use]
    pub fn enter(self: &Arc<Self>, administrator: Administrator) -> Presence {
        let mut here = self.here();
        here.last += 1;
        let number = here.last;
        here.all.insert(number, administrator);
        Presence {
            administrators: self.clone(),
            number,
        }
    }

    /// All, and what tells them apart.
    #[must_use]
    pub fn all(&self) -> Vec<(u64, Administrator)> {
        let here = self.here();
        here.all
            .iter()
            .map(|(number, one)| (*number, one.clone()))
            .collect()
    }

    fn here(&self) -> MutexGuard<'_, Here> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Presence {
    /// It has asked for something.
    pub(super) fn asks(&self) {
        if let Some(one) = self.administrators.here().all.get_mut(&self.number) {
            one.asked = SystemTime::now();
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.administrators.here().all.remove(&self.number);
    }
}
