//! Slows the guessing of passwords down.
//!
//! Failed logins are counted for each client address and for each login. After
//! some that are free, attempts are refused unseen until a delay is over, which
//! doubles with each further failure. An address from which a login has succeeded
//! before is counted for this login by itself, so that nobody who guesses from
//! elsewhere can lock it out.

use crate::config::{PerAddress, Throttling};
use aws_lc_rs::digest;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Most entries of each kind that are kept; the oldest go. At most some 25 MB.
const MOST: usize = 1 << 16;

/// What is known of failed logins. It outlives changes of the settings.
#[derive(Debug)]
pub struct Throttle(Mutex<State>);

#[derive(Debug)]
struct State {
    options: Throttling,
    addresses: Table<Network>,
    logins: Table<LoginKey>,
    /// Names of no login: what is tried there must not push out what is known of
    /// logins.
    strangers: Table<LoginKey>,
    /// Logins and where they have succeeded from.
    known: Table<(LoginKey, Network)>,
    in_progress: HashMap<Network, usize>,
}

/// Who tries to log in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Who {
    network: Network,
    login: LoginKey,
    listed: bool,
}

/// An attempt that is refused unseen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("throttled: too many logins failed {what}; {} ms to wait", left.as_millis())]
pub(crate) struct Throttled {
    what: &'static str,
    left: Duration,
}

impl Throttled {
    /// How long to wait.
    pub(crate) fn left(self) -> Duration {
        self.left
    }
}

/// A login that is in progress, until this is dropped.
#[derive(Debug)]
pub struct InProgress {
    throttle: Arc<Throttle>,
    network: Option<Network>,
}

impl Throttle {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(options: Throttling) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State::new(options, MOST))))
    }

    /// Takes other settings; what is known stays.
    pub fn configure(&self, options: Throttling) {
        self.lock().options = options;
    }

    /// A login from this address begins; without one, on the Unix-domain socket. `None`: there are too many already.
    #[must_use]
    pub fn arrive(self: &Arc<Self>, address: impl Into<Option<IpAddr>>) -> Option<InProgress> {
        let network = self.lock().arrive(address.into())?;
        Some(InProgress {
            throttle: self.clone(),
            network,
        })
    }

    /// Whether a password may be tried now.
    pub(crate) fn check(&self, who: Who) -> Result<(), Throttled> {
        self.lock().check(who, Instant::now())
    }

    /// A login has failed.
    pub(crate) fn failed(&self, who: Who) {
        self.lock().failed(who, Instant::now());
    }

    /// A login has succeeded.
    pub(crate) fn succeeded(&self, who: Who) {
        self.lock().succeeded(who, Instant::now());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        let Some(network) = self.network else {
            return;
        };
        let mut state = self.throttle.lock();
        if let Some(count) = state.in_progress.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                state.in_progress.remove(&network);
            }
        }
    }
}

impl Who {
    /// Somebody who asks to be the administrator `user`, who is a `listed` one or not:
    /// apart from a tenant's login of that name.
    pub(crate) fn admin(address: impl Into<Option<IpAddr>>, user: &str, listed: bool) -> Self {
        Self::new(address, &format!("admin\0{user}"), listed)
    }

    /// A client that asks to be `login`, which is a `listed` one or not.
    pub(crate) fn new(address: impl Into<Option<IpAddr>>, login: &str, listed: bool) -> Self {
        Self {
            network: Network::of(address.into()),
            login: LoginKey::of(login),
            listed,
        }
    }
}

impl State {
    fn new(options: Throttling, most: usize) -> Self {
        Self {
            options,
            addresses: Table::new(most),
            logins: Table::new(most),
            strangers: Table::new(most),
            known: Table::new(most),
            in_progress: HashMap::new(),
        }
    }

    /// The network that the login is counted for, if it is.
    fn arrive(&mut self, address: Option<IpAddr>) -> Option<Option<Network>> {
        let is_own = address.is_none_or(|address| address.to_canonical().is_loopback());
        let most = match self.options.per_address {
            _ if !self.options.enabled => return Some(None),
            PerAddress::OfOthers(_) if is_own => return Some(None),
            PerAddress::OfOthers(most) | PerAddress::OfAll(most) => most,
        };
        let network = Network::of(address);
        let count = self.in_progress.entry(network).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Some(network))
    }

    fn check(&self, who: Who, now: Instant) -> Result<(), Throttled> {
        let options = &self.options;
        let wait = |what, failures: Option<&Failures>| match failures {
            Some(failures) => match failures.wait(options, now) {
                Some(left) => Err(Throttled { what, left }),
                None => Ok(()),
            },
            None => Ok(()),
        };
        if !options.enabled {
            return Ok(());
        }
        if let Some(known) = self.known.get(&(who.login, who.network)) {
            return wait("for this login from this address", Some(known));
        }
        wait("from this address", self.addresses.get(&who.network))?;
        wait("for this login", self.by_login(who).get(&who.login))
    }

    fn failed(&mut self, who: Who, now: Instant) {
        let options = self.options;
        let pair = (who.login, who.network);
        if let Some(known) = self.known.get_mut(&pair) {
            known.add(&options, now);
            return;
        }
        self.addresses.at(who.network, now).add(&options, now);
        let logins = match who.listed {
            true => &mut self.logins,
            false => &mut self.strangers,
        };
        logins.at(who.login, now).add(&options, now);
    }

    fn succeeded(&mut self, who: Who, now: Instant) {
        self.addresses.entries.remove(&who.network);
        if who.listed {
            *self.known.at((who.login, who.network), now) = Failures::none(now);
        }
    }

    fn by_login(&self, who: Who) -> &Table<LoginKey> {
        match who.listed {
            true => &self.logins,
            false => &self.strangers,
        }
    }
}

/// An address as far as it tells one client from another: of IPv6 the first 64
/// bits, since a client has all the addresses behind. All clients on the Unix-domain
/// socket are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Network(Option<IpAddr>);

impl Network {
    fn of(address: Option<IpAddr>) -> Self {
        Self(address.map(|address| match address.to_canonical() {
            IpAddr::V6(v6) => {
                let prefix = u128::from(v6) & (u128::MAX << 64);
                IpAddr::V6(Ipv6Addr::from(prefix))
            }
            v4 @ IpAddr::V4(_) => v4,
        }))
    }
}

/// A login's name, of the same small size for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct LoginKey([u8; 16]);

impl LoginKey {
    fn of(login: &str) -> Self {
        let digest = digest::digest(&digest::SHA256, login.as_bytes());
        let first = digest.as_ref().first_chunk();
        Self(first.copied().unwrap_or_default())
    }
}

/// Failures since the count began.
#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    /// When the last one was, or the entry was made.
    last: Instant,
}

impl Failures {
    fn none(now: Instant) -> Self {
        Self {
            count: 0,
            last: now,
        }
    }

    fn add(&mut self, options: &Throttling, now: Instant) {
        if now.saturating_duration_since(self.last) > options.forget_after {
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        self.last = now;
    }

    /// How long is to be waited yet, if at all.
    fn wait(&self, options: &Throttling, now: Instant) -> Option<Duration> {
        let doublings = self.count.checked_sub(options.free)?;
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let delay = options.delay.saturating_mul(factor);
        let delay = delay.min(options.longest_delay);
        let passed = now.saturating_duration_since(self.last);
        delay.checked_sub(passed).filter(|left| !left.is_zero())
    }
}

/// Entries of which the oldest go.
#[derive(Debug)]
struct Table<K> {
    entries: HashMap<K, Failures>,
    most: usize,
}

impl<K: Copy + Eq + Hash> Table<K> {
    fn new(most: usize) -> Self {
        Self {
            entries: HashMap::new(),
            most,
        }
    }

    fn get(&self, key: &K) -> Option<&Failures> {
        self.entries.get(key)
    }

    fn get_mut(&mut self, key: &K) -> Option<&mut Failures> {
        self.entries.get_mut(key)
    }

    /// The entry of this key, a new one if there is none.
    fn at(&mut self, key: K, now: Instant) -> &mut Failures {
        if self.entries.len() >= self.most && !self.entries.contains_key(&key) {
            self.shrink();
        }
        self.entries.entry(key).or_insert(Failures::none(now))
    }

    /// Removes the oldest tenth, so that it is not to be done each time.
    fn shrink(&mut self) {
        let mut times: Vec<_> = self.entries.values().map(|entry| entry.last).collect();
        let (_, limit, _) = times.select_nth_unstable(self.most / 10);
        let limit = *limit;
        self.entries.retain(|_, entry| entry.last > limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: Throttling = Throttling {
        enabled: true,
        free: 3,
        delay: Duration::from_millis(100),
        longest_delay: Duration::from_secs(1),
        forget_after: Duration::from_secs(60),
        per_address: PerAddress::OfOthers(2),
    };

    fn state() -> State {
        State::new(OPTIONS, 100)
    }

    fn who(address: &str, login: &str) -> Who {
        Who::new(address.parse::<IpAddr>().unwrap(), login, true)
    }

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// Fails as often as it is let, at this time.
    fn fail_all(state: &mut State, who: Who, now: Instant) -> usize {
        let mut verdicts = 0;
        while state.check(who, now).is_ok() && verdicts < 1000 {
            state.failed(who, now);
            verdicts += 1;
        }
        verdicts
    }

    #[test]
    fn failures_of_an_administrator_do_not_slow_the_login_of_that_name() {
        let (mut state, now) = (state(), Instant::now());
        let admin = Who::admin("192.0.2.1".parse::<IpAddr>().unwrap(), "app", true);
        assert_eq!(fail_all(&mut state, admin, now), 3);
        let elsewhere = "198.51.100.1".parse::<IpAddr>().unwrap();
        assert!(
            state
                .check(Who::admin(elsewhere, "app", true), now)
                .is_err()
        );
        assert!(state.check(who("198.51.100.1", "app"), now).is_ok());
    }

    #[test]
    fn after_the_free_ones_each_failure_doubles_the_delay_up_to_the_longest() {
        let (mut state, now) = (state(), Instant::now());
        let guesser = who("192.0.2.1", "app");
        assert_eq!(fail_all(&mut state, guesser, now), 3);
        let mut at = now;
        for delay in [100, 200, 400, 800, 1000, 1000] {
            assert!(state.check(guesser, at + ms(delay - 1)).is_err(), "{delay}");
            at += ms(delay);
            assert_eq!(fail_all(&mut state, guesser, at), 1, "{delay}");
        }
        // Never so often that the numbers run over.
        for _ in 0..100 {
            state.failed(guesser, at);
        }
        assert!(state.check(guesser, at + ms(999)).is_err());
        assert!(state.check(guesser, at + ms(1000)).is_ok());
        // After a quiet time all are free again.
        assert_eq!(fail_all(&mut state, guesser, at + ms(60_001)), 3);
    }

    #[test]
    fn an_address_is_slowed_whatever_login_it_tries_and_no_other_one_is() {
        let (mut state, now) = (state(), Instant::now());
        for login in ["a", "b", "c"] {
            state.failed(who("192.0.2.1", login), now);
        }
        let refused = state.check(who("192.0.2.1", "d"), now).unwrap_err();
        assert_eq!(refused.what, "from this address");
        assert!(state.check(who("192.0.2.2", "a"), now).is_ok());
        // One success of whomever.
        state.succeeded(who("192.0.2.1", "e"), now);
        assert!(state.check(who("192.0.2.1", "d"), now).is_ok());
    }

    #[test]
    fn a_login_is_slowed_from_all_addresses_but_those_that_it_came_from() {
        let (mut state, now) = (state(), Instant::now());
        state.succeeded(who("192.0.2.9", "app"), now);
        for n in 1..=3 {
            state.failed(who(&format!("192.0.2.{n}"), "app"), now);
        }
        let refused = state.check(who("192.0.2.4", "app"), now).unwrap_err();
        assert_eq!(refused.what, "for this login");
        assert!(state.check(who("192.0.2.4", "other"), now).is_ok());
        assert!(state.check(who("192.0.2.9", "app"), now).is_ok());
        // There it has a count of its own, and others' do not grow with it.
        assert_eq!(fail_all(&mut state, who("192.0.2.9", "app"), now), 3);
        assert!(state.check(who("192.0.2.9", "other"), now).is_ok());
        state.succeeded(who("192.0.2.9", "app"), now);
        assert!(state.check(who("192.0.2.9", "app"), now).is_ok());
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_and_mapped_ones_are_ipv4() {
        let (mut state, now) = (state(), Instant::now());
        for n in 1..=3 {
            state.failed(who(&format!("2001:db8:0:1::{n}"), &n.to_string()), now);
        }
        assert!(state.check(who("2001:db8:0:1:ffff::", "x"), now).is_err());
        assert!(state.check(who("2001:db8:0:2::1", "x"), now).is_ok());
        for n in 1..=3 {
            state.failed(who("::ffff:192.0.2.1", &n.to_string()), now);
        }
        assert!(state.check(who("192.0.2.1", "x"), now).is_err());
        assert!(state.check(who("192.0.2.2", "x"), now).is_ok());
    }

    #[test]
    fn names_of_no_login_are_slowed_alike_and_push_no_login_out() {
        let (mut state, now) = (state(), Instant::now());
        let address = |n: u32| IpAddr::from(n.to_be_bytes());
        for n in 0..3 {
            state.failed(Who::new(address(n), "app", true), now);
            state.failed(Who::new(address(n + 10), "nobody", false), now);
        }
        assert!(state.check(who("192.0.2.1", "app"), now).is_err());
        let nobody = Who::new("192.0.2.1".parse::<IpAddr>().unwrap(), "nobody", false);
        assert!(state.check(nobody, now).is_err());
        for n in 0..10_000 {
            let later = now + ms(1);
            state.failed(Who::new(address(n), &n.to_string(), false), later);
        }
        assert!(state.check(who("192.0.2.1", "app"), now).is_err());
        assert!(state.check(nobody, now).is_ok());
        for table in [state.addresses.entries.len(), state.strangers.entries.len()] {
            assert!((1..=100).contains(&table), "{table}");
        }
    }

    #[test]
    fn a_success_of_no_listed_login_makes_no_address_known() {
        let (mut state, now) = (state(), Instant::now());
        let stranger = Who::new("192.0.2.1".parse::<IpAddr>().unwrap(), "x", false);
        state.succeeded(stranger, now);
        assert!(state.known.entries.is_empty());
    }

    #[test]
    fn logins_in_progress_are_limited_for_each_address() {
        let throttle = Arc::new(Throttle(Mutex::new(state())));
        let arrive = |address: &str| throttle.arrive(address.parse::<IpAddr>().unwrap());
        let first = arrive("192.0.2.1").unwrap();
        let _second = arrive("192.0.2.1").unwrap();
        assert!(arrive("192.0.2.1").is_none());
        assert!(arrive("192.0.2.2").is_some());
        drop(first);
        assert!(arrive("192.0.2.1").is_some());
        // The machine's own are not limited unless that is said.
        let many: Vec<_> = (0..10).map(|_| arrive("::ffff:127.0.0.1")).collect();
        assert!(many.iter().all(Option::is_some));
        throttle.configure(Throttling {
            per_address: PerAddress::OfAll(1),
            ..OPTIONS
        });
        let _one = arrive("127.0.0.1").unwrap();
        assert!(arrive("127.0.0.1").is_none());
        drop(many);
        throttle.configure(Throttling {
            enabled: false,
            ..OPTIONS
        });
        assert!(arrive("127.0.0.1").is_some());
    }

    #[test]
    fn switched_off_it_refuses_nothing() {
        let (mut state, now) = (state(), Instant::now());
        state.options.enabled = false;
        assert_eq!(fail_all(&mut state, who("192.0.2.1", "a"), now), 1000);
    }
}
