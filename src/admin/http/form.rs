//! Forms that browsers send.

use super::answer::{Answer, text};
use http_body_util::{BodyExt as _, Limited};
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap};
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::timeout;

/// Most bytes of a form.
const MOST: usize = 8 << 10;
/// Most time for it to come.
const LIMIT: Duration = Duration::from_secs(10);

/// The fields of a form. It has passwords: it has no `Debug`.
pub(super) struct Form(HashMap<String, String>);

impl Form {
    /// Reads a form that a page of this server sends.
    pub(super) async fn read(
        headers: &HeaderMap,
        body: Incoming,
        scheme: &str,
    ) -> Result<Self, Answer> {
        if !is_same_origin(headers, scheme) {
            let line = "the form was sent by a page of another site";
            return Err(text(StatusCode::FORBIDDEN, line));
        }
        let read = timeout(LIMIT, Limited::new(body, MOST).collect()).await;
        let Ok(Ok(body)) = read else {
            let line = "the form is too long, or did not come";
            return Err(text(StatusCode::BAD_REQUEST, line));
        };
        let bytes = body.to_bytes();
        let fields = form_urlencoded::parse(&bytes);
        Ok(Self(fields.into_owned().collect()))
    }

    /// A field; empty if there is none of this name.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

/// Whether a request comes from a page of this server, or from no page at all. Browsers
/// say so, and pages cannot change what they say.
fn is_same_origin(headers: &HeaderMap, scheme: &str) -> bool {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(site) = header("sec-fetch-site") {
        return site == "same-origin";
    }
    let host = header(header::HOST.as_str()).unwrap_or_default();
    match header(header::ORIGIN.as_str()) {
        Some(origin) => origin == format!("{scheme}://{host}"),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn a_form_of_another_site_is_told_from_one_of_this_server() {
        for (pairs, expected) in [
            (&[("host", "a:1")][..], true),
            (&[("host", "a:1"), ("origin", "https://a:1")], true),
            (&[("host", "a:1"), ("origin", "http://a:1")], false),
            (&[("host", "a:1"), ("origin", "https://a:1.evil")], false),
            (&[("host", "a:1"), ("origin", "null")], false),
            (
                &[("sec-fetch-site", "same-origin"), ("origin", "https://b")],
                true,
            ),
            (&[("sec-fetch-site", "same-site")], false),
            (
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("host", "a:1"),
                    ("origin", "https://a:1"),
                ],
                false,
            ),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            assert_eq!(is_same_origin(&headers, "https"), expected, "{pairs:?}");
        }
    }
}
