//! What is served at which path, and to whom.

use super::access::{Caller, Denied, Desk};
use super::answer::{Answer, answer, html, see_other, text};
use super::browsers::Cookie;
use super::content::Content;
use super::page::Visitor;
use super::proof::Proof;
use super::{Access, Observed, Server, health};
use crate::admin::page;
use crate::audit::Event;
use crate::console::Steered as _;
use crate::login::Certificate;
use crate::metrics::Format;
use crate::tenant::LoginName;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
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
    pub(super) server: Arc<Server<O>>,
    answered: AtomicBool,
}

/// What there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Live,
    Ready,
    Metrics,
    Start,
    Events,
    LogIn,
    LogOut,
    Act,
    /// What the page is made with: it says nothing of this process.
    Fixed(&'static str, &'static str),
    Nothing,
}

impl Route {
    fn of(path: &str) -> Self {
        match path {
            "/livez" => Self::Live,
            "/readyz" => Self::Ready,
            "/metrics" => Self::Metrics,
            "/" => Self::Start,
            "/events" => Self::Events,
            "/login" => Self::LogIn,
            "/logout" => Self::LogOut,
            "/act" => Self::Act,
            "/page.css" => Self::Fixed("text/css; charset=utf-8", page::STYLE),
            "/page.js" => Self::Fixed("text/javascript; charset=utf-8", page::SCRIPT),
            "/icon.svg" => Self::Fixed("image/svg+xml", page::ICON),
            _ => Self::Nothing,
        }
    }

    /// The methods that it has.
    fn methods(self) -> &'static [Method] {
        match self {
            Self::LogIn => &[Method::GET, Method::HEAD, Method::POST],
            Self::LogOut | Self::Act => &[Method::POST],
            Self::Events => &[Method::GET],
            _ => &[Method::GET, Method::HEAD],
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

    /// The settings of this moment.
    pub(super) fn settings(&self) -> Arc<Access> {
        self.settings.borrow().clone()
    }

    /// Answers a request, by the settings of this moment.
    pub(super) async fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Answer {
        self.answered.store(true, Ordering::Relaxed);
        let access = self.settings();
        let (head, body) = request.into_parts();
        let mut answer = self.answer_by(&access, &head, body).await;
        if !Arc::ptr_eq(&access, &self.begun) {
            let close = HeaderValue::from_static("close");
            answer.headers_mut().insert(header::CONNECTION, close);
        }
        answer
    }

    async fn answer_by(
        self: &Arc<Self>,
        access: &Arc<Access>,
        head: &Parts,
        body: Incoming,
    ) -> Answer {
        let route = Route::of(head.uri.path());
        let has_method = route.methods().contains(&head.method);
        match route {
            Route::Fixed(media_type, content) if has_method => {
                return answer(StatusCode::OK, media_type, content);
            }
            Route::LogIn if head.method == Method::POST => {
                return Box::pin(self.log_in(access, &head.headers, body)).await;
            }
            Route::LogIn if has_method => return html(StatusCode::OK, page::login(None)),
            _ => {}
        }
        let visitor = match self.visitor(access, head).await {
            Ok(visitor) => visitor,
            // A browser asks for the password by the form.
            Err(Denied::Unproven) if route == Route::Start && wants_page(&head.headers) => {
                return see_other("/login");
            }
            Err(denied) => return self.deny(access, &denied),
        };
        if !has_method {
            return not_allowed(route);
        }
        let (observed, headers) = (&self.server.observed, &head.headers);
        let is_known = visitor.caller != Caller::Anybody;
        match route {
            Route::Live => health::answer(&observed.liveness().await, is_known),
            Route::Ready => health::answer(&observed.readiness(), is_known),
            Route::Metrics => self.metrics(Format::of(headers)).await,
            Route::Start if wants_page(headers) => {
                Box::pin(self.page(access, &visitor, &head.uri)).await
            }
            Route::Start => text(StatusCode::OK, START),
            Route::Events => self.events(visitor, &head.uri),
            Route::LogOut => Box::pin(self.log_out(access, &visitor, headers, body)).await,
            Route::Act => Box::pin(self.act(access, &visitor, &head.uri, headers, body)).await,
            _ => text(StatusCode::NOT_FOUND, "there is nothing at this path"),
        }
    }

    /// Who asks. A wrong proof is refused also where none is needed: whoever brings one
    /// wants to know.
    async fn visitor(&self, access: &Arc<Access>, head: &Parts) -> Result<Visitor, Denied> {
        let proof = Proof::of(&head.headers);
        let is_bare = proof == Proof::None;
        let cookie = Cookie::of(&head.headers, access.tls().is_some()).filter(|_| is_bare);
        if let Some(cookie) = cookie
            && let Some(name) = self.of_cookie(access, &cookie)
            && let Some(role) = access.role(&name)
        {
            return Ok(Visitor {
                caller: Caller::Admin(name, role),
                cookie: Some(cookie),
            });
        }
        let desk = Desk {
            throttle: &self.server.throttle,
            passwords: &self.server.passwords,
        };
        let (certificate, address) = (self.certificate(access), self.peer.ip());
        let caller = access.identify(proof, certificate, address, &desk).await;
        let caller = match caller {
            Err(Denied::Unproven) if is_bare && access.is_public(head.uri.path()) => {
                Ok(Caller::Anybody)
            }
            caller => caller,
        };
        let cookie = None;
        caller.map(|caller| Visitor { caller, cookie })
    }

    /// Whose cookie it is.
    pub(super) fn of_cookie(&self, access: &Access, cookie: &Cookie) -> Option<LoginName> {
        let verifier = |user: &LoginName| access.verifier(user.as_str(), self.certificate(access));
        self.server.browsers.find(cookie, verifier)
    }

    /// The certificate, while what has verified it is in force: other settings may not
    /// trust its authority any longer.
    pub(super) fn certificate(&self, access: &Access) -> Option<&Certificate> {
        let is_verified = std::ptr::eq(access, &*self.begun);
        self.certificate.as_ref().filter(|_| is_verified)
    }

    /// Tells of a proof that does not hold.
    pub(super) fn tell(&self, denied: &Denied) {
        if let Denied::Wrong(reason) = denied {
            tracing::warn!(target: "pgtenant::audit", event = "admin_refused", client = %self.peer, %reason);
            self.server
                .observed
                .shown()
                .audit()
                .record(&Event::AdminRefused {
                    address: self.peer.into(),
                    reason,
                });
        }
    }

    /// Tells of an administrator who has logged in by the form. `false`: it would go
    /// unrecorded, and so is not let in.
    pub(super) async fn tell_of_login(&self, user: &LoginName) -> bool {
        let login = Event::AdminLogin {
            user: user.as_str(),
            address: self.peer.into(),
            method: "form",
        };
        let audit = self.server.observed.shown().audit();
        let is_recorded = audit.settle(&login).await.is_ok();
        if is_recorded {
            let tls = self.begun.tls().is_some();
            tracing::info!(target: "pgtenant::audit", event = "admin_login", %user, client = %self.peer, method = "form", tls);
        }
        is_recorded
    }

    fn deny(&self, access: &Access, denied: &Denied) -> Answer {
        self.tell(denied);
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

/// Whether it is a browser that asks, which shows a page.
fn wants_page(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).iter();
    let mut accepts = accepts.filter_map(|value| value.to_str().ok());
    accepts.any(|value| value.contains("text/html"))
}

fn not_allowed(route: Route) -> Answer {
    let mut refused = text(
        StatusCode::METHOD_NOT_ALLOWED,
        "this path has other methods",
    );
    let methods: Vec<_> = route.methods().iter().map(Method::as_str).collect();
    if let Ok(methods) = HeaderValue::from_str(&methods.join(", ")) {
        refused.headers_mut().insert(header::ALLOW, methods);
    }
    refused
}

fn throttled(left: Duration) -> Answer {
    let line = "too many passwords were wrong: try again later";
    let mut refused = text(StatusCode::TOO_MANY_REQUESTS, line);
    let seconds = left.as_secs().saturating_add(1);
    let headers = refused.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    refused
}

const START: &str = "pgtenant\n\n/         a page for people, in a browser\n\
    /livez    whether the process gets on\n\
    /readyz   whether it can serve clients\n/metrics  metrics for Prometheus";
