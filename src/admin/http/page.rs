//! The page: who sees it, its refreshing, and what its forms do.

use super::access::{Caller, Denied, Desk};
use super::answer::{Answer, answer, html, see_other, text};
use super::browsers::Cookie;
use super::content::Content;
use super::form::Form;
use super::routes::Visit;
use super::{Access, Observed, Server};
use crate::admin::page::{self, Deed, Outcome, Query, Scene, Shown as _, Viewer};
use crate::tenant::LoginName;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{StatusCode, Uri};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::sleep;

/// How old what a page shows may be.
const AGE: Duration = Duration::from_secs(2);
/// How often a page is refreshed.
const PERIOD: Duration = Duration::from_secs(5);
/// What a browser does first if the refreshing breaks off: it waits.
const RETRY: &str = "retry: 3000\n\n";
/// Keeps a connection from being taken for dead.
const NOTHING_NEW: &str = ":\n\n";

/// Somebody who looks at the page.
#[derive(Clone)]
pub(super) struct Visitor {
    pub(super) caller: Caller,
    /// Of who has logged in by the form.
    pub(super) cookie: Option<Cookie>,
}

impl<O: Observed> Visit<O> {
    /// The page as it is seen by an administrator; `None`: it is for none else.
    fn viewer(&self, access: &Access, visitor: &Visitor) -> Option<(LoginName, Viewer)> {
        let Caller::Admin(name, _) = &visitor.caller else {
            return None;
        };
        let name = match &visitor.cookie {
            Some(cookie) => self.of_cookie(access, cookie)?,
            None => name.clone(),
        };
        let viewer = Viewer {
            role: access.role(&name)?,
            logs_out: visitor.cookie.is_some(),
            csrf: self.server.browsers.csrf(&name, visitor.cookie.as_ref()),
            name: name.as_str().to_owned(),
        };
        Some((name, viewer))
    }

    /// The page.
    pub(super) async fn page(&self, access: &Access, visitor: &Visitor, uri: &Uri) -> Answer {
        let outcome = uri.query().and_then(done);
        self.shown(access, visitor, uri, outcome).await
    }

    async fn shown(
        &self,
        access: &Access,
        visitor: &Visitor,
        uri: &Uri,
        outcome: Option<Outcome>,
    ) -> Answer {
        let Some((_, viewer)) = self.viewer(access, visitor) else {
            return for_administrators();
        };
        let status = match outcome {
            Some(Outcome::Refused(_)) => StatusCode::CONFLICT,
            _ => StatusCode::OK,
        };
        let query = Query::parse(uri.query().unwrap_or_default());
        let draw = move |scene: &Scene<'_>| page::page(scene, outcome.as_ref());
        match self.server.draw(viewer, query, draw).await {
            Some(page) => html(status, page),
            None => text(StatusCode::SERVICE_UNAVAILABLE, "the process is ending"),
        }
    }

    /// The sections of the page, each as often as it changes.
    pub(super) fn events(self: &Arc<Self>, visitor: Visitor, uri: &Uri) -> Answer {
        if !matches!(visitor.caller, Caller::Admin(..)) {
            return for_administrators();
        }
        let Ok(permit) = self.server.feeds.clone().try_acquire_owned() else {
            let line = "too many pages are being refreshed";
            return text(StatusCode::SERVICE_UNAVAILABLE, line);
        };
        let (sender, parts) = mpsc::channel(1);
        let query = Query::parse(uri.query().unwrap_or_default());
        tokio::spawn(self.clone().feed(visitor, query, sender));
        let content = Content::fed(parts, permit);
        answer(StatusCode::OK, "text/event-stream", content)
    }

    async fn feed(self: Arc<Self>, visitor: Visitor, query: Query, sender: mpsc::Sender<Bytes>) {
        let mut shown = HashMap::new();
        let mut events = RETRY.to_owned();
        loop {
            let access = self.settings().clone();
            // Whoever has been removed sees no more.
            let Some((_, viewer)) = self.viewer(&access, &visitor) else {
                return;
            };
            let sections = self.server.draw(viewer, query.clone(), page::sections);
            let Some(sections) = sections.await else {
                return;
            };
            for (id, content) in sections {
                let hash = hash(&content);
                if shown.insert(id, hash) != Some(hash) {
                    events.push_str(&event(id, &content));
                }
            }
            if events.is_empty() {
                events.push_str(NOTHING_NEW);
            }
            if sender
                .send(std::mem::take(&mut events).into())
                .await
                .is_err()
            {
                return;
            }
            tokio::select! {
                () = sleep(PERIOD) => {}
                () = sender.closed() => return,
            }
        }
    }

    /// Logs in by the form.
    pub(super) async fn log_in(
        &self,
        access: &Arc<Access>,
        headers: &HeaderMap,
        body: Incoming,
    ) -> Answer {
        let form = match Form::read(headers, body, access.scheme()).await {
            Ok(form) => form,
            Err(refused) => return refused,
        };
        let (user, password) = (form.get("user"), form.get("password").to_owned());
        let desk = Desk {
            throttle: &self.server.throttle,
            passwords: &self.server.passwords,
        };
        let certificate = self.certificate(access);
        let outcome = access
            .by_throttled_password(user, password, certificate, self.peer.ip(), &desk)
            .await;
        let name = match outcome {
            Ok(name) => name,
            Err(denied) => {
                self.tell(&denied);
                let (status, line) = match denied {
                    Denied::Throttled(_) => (
                        StatusCode::TOO_MANY_REQUESTS,
                        "Too many passwords were wrong: try again later.",
                    ),
                    _ => (StatusCode::FORBIDDEN, "The user or the password is wrong."),
                };
                return html(status, page::login(Some(line)));
            }
        };
        if !self.tell_of_login(&name).await {
            let line = "The audit log cannot be written, and no login goes unrecorded.";
            return html(StatusCode::SERVICE_UNAVAILABLE, page::login(Some(line)));
        }
        let verifier = access.verifier(name.as_str(), certificate).cloned();
        let browsers = &self.server.browsers;
        let cookie = verifier.and_then(|verifier| browsers.log_in(name.clone(), verifier));
        let Some(cookie) = cookie else {
            return text(
                StatusCode::SERVICE_UNAVAILABLE,
                "the system has no randomness",
            );
        };
        with_cookie(see_other("/"), &cookie.header(access.tls().is_some()))
    }

    /// Logs out.
    pub(super) async fn log_out(
        &self,
        access: &Access,
        visitor: &Visitor,
        headers: &HeaderMap,
        body: Incoming,
    ) -> Answer {
        match self.form(access, visitor, headers, body).await {
            Ok(_) => {
                if let Some(cookie) = &visitor.cookie {
                    self.server.browsers.log_out(cookie);
                }
                let removal = Cookie::removal(access.tls().is_some());
                with_cookie(see_other("/login"), &removal)
            }
            Err(refused) => refused,
        }
    }

    /// Does what a form of the page asks for.
    pub(super) async fn act(
        &self,
        access: &Access,
        visitor: &Visitor,
        uri: &Uri,
        headers: &HeaderMap,
        body: Incoming,
    ) -> Answer {
        let (name, form) = match self.form(access, visitor, headers, body).await {
            Ok(both) => both,
            Err(refused) => return refused,
        };
        let word = form.get("action");
        let Some(deed) = Deed::parse(word, form.get("target")) else {
            return text(StatusCode::BAD_REQUEST, "there is no such action");
        };
        let server = self.server.clone();
        let address = self.peer;
        // Ending sessions takes a while where there are many.
        let work = move || {
            let shown = server.observed.shown();
            deed.carry_out(shown, &server.errands, name.as_str(), address.into())
        };
        let outcome = tokio::task::spawn_blocking(work).await;
        // It shows what was before.
        *self.server.picture.lock().await = None;
        match outcome {
            Ok(Ok(())) => see_other(&after(word, form.get("section"), uri)),
            Ok(Err(error)) => {
                let refused = Outcome::Refused(error);
                self.shown(access, visitor, uri, Some(refused)).await
            }
            Err(_) => text(StatusCode::SERVICE_UNAVAILABLE, "the process is ending"),
        }
    }

    /// The form of an administrator, if the page that it was given has sent it.
    async fn form(
        &self,
        access: &Access,
        visitor: &Visitor,
        headers: &HeaderMap,
        body: Incoming,
    ) -> Result<(LoginName, Form), Answer> {
        let (name, _) = self
            .viewer(access, visitor)
            .ok_or_else(for_administrators)?;
        let form = Form::read(headers, body, access.scheme()).await?;
        let browsers = &self.server.browsers;
        match browsers.is_csrf(form.get("csrf"), &name, visitor.cookie.as_ref()) {
            true => Ok((name, form)),
            false => Err(text(
                StatusCode::FORBIDDEN,
                "the form is not one of this page: load it again",
            )),
        }
    }
}

impl<O: Observed> Server<O> {
    /// Draws what somebody sees. With many tenants it takes a while, and health is told
    /// meanwhile. `None`: the process is ending.
    async fn draw<T: Send + 'static>(
        self: &Arc<Self>,
        viewer: Viewer,
        query: Query,
        draw: impl FnOnce(&Scene<'_>) -> T + Send + 'static,
    ) -> Option<T> {
        let picture = self.picture(AGE).await?;
        let server = self.clone();
        let work = move || {
            draw(&Scene {
                picture: &picture,
                history: server.observed.shown().history(),
                errands: &server.errands,
                viewer: &viewer,
                query: &query,
            })
        };
        tokio::task::spawn_blocking(work).await.ok()
    }
}

fn for_administrators() -> Answer {
    let line = "the page is for the administrators of [[admins]]";
    text(StatusCode::FORBIDDEN, line)
}

/// An event of a section; JSON keeps what clients have written from ending it.
fn event(id: &str, content: &str) -> String {
    let data = serde_json::Value::from(content);
    format!("event: {id}\ndata: {data}\n\n")
}

fn hash(content: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

fn with_cookie(mut answer: Answer, cookie: &str) -> Answer {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        answer.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    answer
}

/// What can be done, and what is said when it is.
const DONE: [(&str, &str); 6] = [
    ("kill_client", "The session is being ended."),
    ("kill_tenant", "The tenant's sessions are being ended."),
    ("pause_tenant", "The tenant is paused."),
    ("resume_tenant", "The tenant is no longer paused."),
    ("check", "The check runs."),
    ("verify_audit", "The audit log is being verified."),
];

/// Where the browser goes once something is done: loading that again does nothing.
fn after(word: &str, section: &str, uri: &Uri) -> String {
    let query = Query::parse(uri.query().unwrap_or_default()).encode();
    let and = if query.is_empty() { "" } else { "&" };
    let section = section.chars().filter(char::is_ascii_lowercase);
    format!("/?{query}{and}done={word}#{}", section.collect::<String>())
}

/// What is said after that.
fn done(query: &str) -> Option<Outcome> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let (_, word) = pairs.find(|(key, _)| key == "done")?;
    let (_, said) = DONE.iter().find(|(own, _)| *own == word)?;
    Some(Outcome::Done((*said).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_section_ends_its_event() {
        let shown = event("tenants", "a\n\nevent: x\r\ndata: \u{2028}\"");
        assert_eq!(shown.trim_end().lines().count(), 2);
        let data = shown
            .lines()
            .nth(1)
            .unwrap()
            .strip_prefix("data: ")
            .unwrap();
        let back: String = serde_json::from_str(data).unwrap();
        assert_eq!(back, "a\n\nevent: x\r\ndata: \u{2028}\"");
    }

    #[test]
    fn where_a_browser_goes_afterwards_is_on_this_server() {
        let uri: Uri = "/act?q=a%26b&sort=name&done=x".parse().unwrap();
        let path = after("check", "find\r\nings//evil", &uri);
        assert_eq!(path, "/?q=a%26b&sort=name&done=check#findingsevil");
        assert!(done("q=1&done=check").is_some());
        assert!(done("done=<script>").is_none());
    }
}
