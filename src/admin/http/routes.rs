//! What is served at which path, and to whom.

use super::access::{Caller, Denied, Desk};
use super::answer::{Answer, answer, text};
use super::content::Content;
use super::proof::Proof;
use super::{Access, Observed, Server, health};
use crate::login::Certificate;
use crate::metrics::Format;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, StatusCode};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// A connection and who is at its other end.
pub(super) struct Visit<O> {
    settings: watch::Receiver<Arc<Access>>,
    /// The settings with which it has begun, and by which the certificate was verified.
    begun: Arc<Access>,
    pub(super) certificate: Option<Certificate>,
    pub(super) peer: SocketAddr,
    server: Arc<Server<O>>,
    answered: AtomicBool,
}

/// What there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Live,
    Ready,
    Metrics,
    Start,
    Nothing,
}

impl Route {
    fn of(path: &str) -> Self {
        match path {
            "/livez" => Self::Live,
            "/readyz" => Self::Ready,
            "/metrics" => Self::Metrics,
            "/" => Self::Start,
            _ => Self::Nothing,
        }
    }
}

impl<O: Observed> Visit<O> {
    /// A visit that begins.
    pub(super) fn new(
        settings: watch::Receiver<Arc<Access>>,
        begun: Arc<Access>,
        peer: SocketAddr,
        server: Arc<Server<O>>,
    ) -> Self {
        Self {
            settings,
            begun,
            certificate: None,
            peer,
            server,
            answered: AtomicBool::new(false),
        }
    }

    /// Whether there was an answer, or one is being made.
    pub(super) fn is_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// Answers a request, by the settings of this moment.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answer {
        self.answered.store(true, Ordering::Relaxed);
        let access = self.settings.borrow().clone();
        let mut answer = self.answer_by(&access, &request).await;
        if !Arc::ptr_eq(&access, &self.begun) {
            let close = HeaderValue::from_static("close");
            answer.headers_mut().insert(header::CONNECTION, close);
        }
        answer
    }

    async fn answer_by(&self, access: &Arc<Access>, request: &Request<Incoming>) -> Answer {
        let caller = match self.caller(access, request).await {
            Ok(caller) => caller,
            Err(denied) => return self.deny(access, &denied),
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD are served");
            let allowed = HeaderValue::from_static("GET, HEAD");
            refused.headers_mut().insert(header::ALLOW, allowed);
            return refused;
        }
        let observed = &self.server.observed;
        match Route::of(request.uri().path()) {
            Route::Live => health::answer(&observed.liveness().await, caller != Caller::Anybody),
            Route::Ready => health::answer(&observed.readiness(), caller != Caller::Anybody),
            Route::Metrics => self.metrics(Format::of(request.headers())).await,
            Route::Start => text(StatusCode::OK, START),
            Route::Nothing => text(StatusCode::NOT_FOUND, "there is nothing at this path"),
        }
    }

    /// Who asks. A wrong proof is refused also where none is needed: whoever brings one
    /// wants to know.
    async fn caller(
        &self,
        access: &Arc<Access>,
        request: &Request<Incoming>,
    ) -> Result<Caller, Denied> {
        let proof = Proof::of(request.headers());
        let is_bare = proof == Proof::None;
        let desk = Desk {
            throttle: &self.server.throttle,
            passwords: &self.server.passwords,
        };
        // Other settings may not trust its authority any longer.
        let is_verified = Arc::ptr_eq(access, &self.begun);
        let certificate = self.certificate.as_ref().filter(|_| is_verified);
        let address = self.peer.ip();
        let caller = access.identify(proof, certificate, address, &desk).await;
        match caller {
            Err(Denied::Unproven) if is_bare && access.is_public(request.uri().path()) => {
                Ok(Caller::Anybody)
            }
            caller => caller,
        }
    }

    fn deny(&self, access: &Access, denied: &Denied) -> Answer {
        if let Denied::Wrong(reason) = denied {
            tracing::warn!(target: "pgtenant::audit", event = "admin_refused", client = %self.peer, %reason);
        }
        if let Denied::Throttled(left) = denied {
            return throttled(*left);
        }
        let mut refused = text(
            StatusCode::UNAUTHORIZED,
            "a proof is needed: the token of admin.token_file, or the password or certificate of one of [[admins]]",
        );
        for challenge in access.challenges() {
            let challenge = HeaderValue::from_static(challenge);
            let headers = refused.headers_mut();
            headers.append(header::WWW_AUTHENTICATE, challenge);
        }
        refused
    }

    async fn metrics(&self, format: Format) -> Answer {
        let Ok(permit) = self.server.written.clone().acquire_owned().await else {
            return text(StatusCode::SERVICE_UNAVAILABLE, "the process is ending");
        };
        let (mut pen, content) = Content::written(permit);
        // Apart: with many tenants it takes a while, in which others ask for health.
        let server = self.server.clone();
        tokio::task::spawn_blocking(move || {
            server.observed.metrics(format, &mut pen)?;
            pen.finish()
        });
        answer(StatusCode::OK, format.media_type(), content)
    }
}

fn throttled(left: Duration) -> Answer {
    let line = "too many passwords were wrong: try again later";
    let mut refused = text(StatusCode::TOO_MANY_REQUESTS, line);
    let seconds = left.as_secs().saturating_add(1);
    let headers = refused.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    refused
}

const START: &str = "pgtenant\n\n/livez    whether the process gets on\n\
    /readyz   whether it can serve clients\n/metrics  metrics for Prometheus";
