//! How many connections there may be.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most connections at once.
const MOST: usize = 256;
/// Most of them from one address.
const MOST_OF_ADDRESS: usize = 64;

/// The connections that there are.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    of: HashMap<IpAddr, usize>,
}

/// A connection's place, until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

impl Places {
    /// A place for a connection from this address, if there is one.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        let mut taken = self.lock();
        if taken.all >= MOST {
            return None;
        }
        let count = taken.of.entry(address).or_default();
        if *count >= MOST_OF_ADDRESS {
            return None;
        }
        *count += 1;
        taken.all += 1;
        Some(Place {
            places: self.clone(),
            address,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.all = taken.all.saturating_sub(1);
        if let Some(count) = taken.of.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                taken.of.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn one_address_cannot_take_every_place() {
        let places = Arc::<Places>::default();
        let mut first: Vec<_> = (0..MOST_OF_ADDRESS)
            .map(|_| places.take(address(1)).unwrap())
            .collect();
        assert!(places.take(address(1)).is_none());
        assert!(places.take(address(2)).is_some());
        first.pop();
        assert!(places.take(address(1)).is_some());
    }

    #[test]
    fn there_are_only_so_many_and_nothing_is_left_of_those_that_have_gone() {
        let places = Arc::<Places>::default();
        let taken: Vec<_> = (0..=255)
            .filter_map(|last| places.take(address(last)))
            .collect();
        assert_eq!(taken.len(), MOST);
        assert!(places.take(IpAddr::from([198, 51, 100, 1])).is_none());
        drop(taken);
        assert_eq!(places.lock().all, 0);
        assert!(places.lock().of.is_empty());
    }
}
