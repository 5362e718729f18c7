//! Administrators who have logged in by the form: a cookie for each, and what their
//! forms must carry.

use crate::directory::Verifier;
use crate::tenant::LoginName;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::header::{COOKIE, HeaderMap};
use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Most of them at once; beyond that the one goes that was not used for the longest time.
const MOST: usize = 200;
/// After so long without a request the cookie holds no longer.
const IDLE: Duration = Duration::from_secs(60 * 60);
/// After so long it holds no longer in any case.
const LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

/// Of the cookie: a copy of what is here is of no use.
type Hashed = [u8; 32];

/// Administrators who have logged in by the form.
#[derive(Debug)]
pub(super) struct Browsers {
    /// For what forms carry.
    key: hmac::Key,
    all: Mutex<HashMap<Hashed, Browser>>,
}

#[derive(Debug)]
struct Browser {
    user: LoginName,
    /// What the password was tried against.
    verifier: Verifier,
    begun: Instant,
    used: Instant,
}

impl Browser {
    fn is_over(&self, now: Instant) -> bool {
        now - self.used >= IDLE || now - self.begun >= LIFETIME
    }
}

/// What a browser has been given.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Cookie(String);

impl Cookie {
    /// The one that the browser sends.
    pub(super) fn of(headers: &HeaderMap, tls: bool) -> Option<Self> {
        let name = Self::name(tls);
        let values = headers.get_all(COOKIE).iter();
        let pairs = values.filter_map(|value| value.to_str().ok());
        let mut pairs = pairs.flat_map(|pairs| pairs.split(';'));
        let own = pairs.find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='));
        own.map(|own| Self(own.to_owned()))
    }

    /// `__Host-` keeps other hosts and clear text from setting it (RFC 6265bis, 4.1.3).
    fn name(tls: bool) -> &'static str {
        match tls {
            true => "__Host-pgtenant",
            false => "pgtenant",
        }
    }

    /// The header that gives it to the browser.
    pub(super) fn header(&self, tls: bool) -> String {
        let (name, secure) = (Self::name(tls), Self::secure(tls));
        let value = &self.0;
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}")
    }

    /// The header that takes it away.
    pub(super) fn removal(tls: bool) -> String {
        let (name, secure) = (Self::name(tls), Self::secure(tls));
        format!("{name}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0{secure}")
    }

    fn secure(tls: bool) -> &'static str {
        if tls { "; Secure" } else { "" }
    }

    fn hashed(&self) -> Hashed {
        let hash = digest(&SHA256, self.0.as_bytes());
        // It has 32 bytes.
        hash.as_ref().first_chunk().copied().unwrap_or_default()
    }
}

impl Browsers {
    /// None yet.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub(super) fn new() -> io::Result<Self> {
        let mut key = [0; 32];
        rand::fill(&mut key).map_err(|_| io::Error::other("the system has no randomness"))?;
        Ok(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            all: Mutex::default(),
        })
    }

    /// Lets an administrator in whose password holds. `None`: the system has no
    /// randomness.
    pub(super) fn log_in(&self, user: LoginName, verifier: Verifier) -> Option<Cookie> {
        let mut value = [0; 32];
        rand::fill(&mut value).ok()?;
        let cookie = Cookie(URL_SAFE_NO_PAD.encode(value));
        let now = Instant::now();
        let mut all = self.lock();
        all.retain(|_, browser| !browser.is_over(now));
        if all.len() >= MOST {
            let oldest = all.iter().min_by_key(|(_, browser)| browser.used);
            if let Some(oldest) = oldest.map(|(hashed, _)| *hashed) {
                all.remove(&oldest);
            }
        }
        let browser = Browser {
            user,
            verifier,
            begun: now,
            used: now,
        };
        all.insert(cookie.hashed(), browser);
        Some(cookie)
    }

    /// Whose cookie it is, if it holds: a password that has changed since ends that.
    /// `own` is what the password of an administrator is tried against now.
    pub(super) fn find<'v>(
        &self,
        cookie: &Cookie,
        own: impl FnOnce(&LoginName) -> Option<&'v Verifier>,
    ) -> Option<LoginName> {
        let (hashed, now) = (cookie.hashed(), Instant::now());
        let mut all = self.lock();
        let browser = all.get_mut(&hashed)?;
        // Without one it may come back: with the certificate that the password needs.
        let own = own(&browser.user)?;
        if browser.is_over(now) || *own != browser.verifier {
            all.remove(&hashed);
            return None;
        }
        browser.used = now;
        Some(browser.user.clone())
    }

    /// The cookie holds no longer.
    pub(super) fn log_out(&self, cookie: &Cookie) {
        self.lock().remove(&cookie.hashed());
    }

    /// What the forms of an administrator must carry, who has this cookie or brings
    /// another proof each time.
    pub(super) fn csrf(&self, user: &LoginName, cookie: Option<&Cookie>) -> String {
        URL_SAFE_NO_PAD.encode(self.signed(user, cookie))
    }

    /// Whether a form carries it.
    pub(super) fn is_csrf(&self, shown: &str, user: &LoginName, cookie: Option<&Cookie>) -> bool {
        let shown = URL_SAFE_NO_PAD.decode(shown).unwrap_or_default();
        verify_slices_are_equal(&shown, self.signed(user, cookie).as_ref()).is_ok()
    }

    fn signed(&self, user: &LoginName, cookie: Option<&Cookie>) -> hmac::Tag {
        let mut text = cookie.map(Cookie::hashed).unwrap_or_default().to_vec();
        text.extend_from_slice(user.as_str().as_bytes());
        hmac::sign(&self.key, &text)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Hashed, Browser>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn verifier(password: &str) -> Verifier {
        Verifier::derive(password).parse().unwrap()
    }

    fn vera() -> LoginName {
        LoginName::new("vera")
    }

    #[test]
    fn a_cookie_holds_while_the_password_does() {
        let browsers = Browsers::new().unwrap();
        let (own, other) = (verifier("a"), verifier("b"));
        let cookie = browsers.log_in(vera(), own.clone()).unwrap();
        assert_eq!(browsers.find(&cookie, |_| Some(&own)), Some(vera()));
        assert_eq!(browsers.find(&Cookie("x".into()), |_| Some(&own)), None);
        assert_eq!(browsers.find(&cookie, |_| Some(&other)), None);
        // It does not hold again with the old one.
        assert_eq!(browsers.find(&cookie, |_| Some(&own)), None);
        let cookie = browsers.log_in(vera(), own.clone()).unwrap();
        browsers.log_out(&cookie);
        assert_eq!(browsers.find(&cookie, |_| Some(&own)), None);
    }

    #[test]
    fn there_are_only_so_many_and_the_oldest_goes() {
        let (browsers, own) = (Browsers::new().unwrap(), verifier("a"));
        let cookies: Vec<_> = (0..=MOST)
            .map(|_| browsers.log_in(vera(), own.clone()).unwrap())
            .collect();
        assert_eq!(browsers.lock().len(), MOST);
        assert!(browsers.find(&cookies[MOST], |_| Some(&own)).is_some());
        assert!(browsers.find(&cookies[0], |_| Some(&own)).is_none());
    }

    #[test]
    fn a_form_of_one_administrator_or_browser_is_not_one_of_another() {
        let browsers = Browsers::new().unwrap();
        let (one, other) = (Cookie("1".into()), Cookie("2".into()));
        let csrf = browsers.csrf(&vera(), Some(&one));
        assert!(browsers.is_csrf(&csrf, &vera(), Some(&one)));
        assert!(!browsers.is_csrf(&csrf, &vera(), Some(&other)));
        assert!(!browsers.is_csrf(&csrf, &vera(), None));
        assert!(!browsers.is_csrf(&csrf, &LoginName::new("otto"), Some(&one)));
        assert!(!browsers.is_csrf("", &vera(), Some(&one)));
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=b; pgtenant=abc"));
        headers.append(COOKIE, HeaderValue::from_static("__Host-pgtenant=def"));
        assert!(Cookie::of(&headers, false) == Some(Cookie("abc".into())));
        assert!(Cookie::of(&headers, true) == Some(Cookie("def".into())));
        assert!(Cookie::of(&HeaderMap::new(), true).is_none());
    }
}
