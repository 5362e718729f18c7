//! Answers, and in which format.

use super::content::Content;
use crate::metrics::Format;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::Value;

/// An answer.
pub(super) type Answer = Response<Content>;

impl Format {
    const OPEN_METRICS: &str = "application/openmetrics-text";

    /// The one that the client likes best. Who does not say so gets the older one, which
    /// everybody reads.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let accepts = headers.get_all(header::ACCEPT).iter();
        let accepts = accepts.filter_map(|value| value.to_str().ok());
        let (mut open, mut plain) = (0, 0);
        for range in accepts.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts.find_map(|part| part.strip_prefix("q="));
            let weight = weight.map_or(1000, thousandths);
            match &*kind {
                Self::OPEN_METRICS => open = weight.max(open),
                "text/plain" | "text/*" | "*/*" => plain = weight.max(plain),
                _ => {}
            }
        }
        match open > 0 && open >= plain {
            true => Self::OpenMetrics,
            false => Self::Prometheus,
        }
    }

    /// Its media type.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// A weight of RFC 9110, 12.4.2; what is none counts as not wanted.
fn thousandths(weight: &str) -> u32 {
    match weight.parse::<f32>() {
        Ok(weight) if (0.0..=1.0).contains(&weight) => {
            // At most 1,000.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let weight = (weight * 1000.0) as u32;
            weight
        }
        _ => 0,
    }
}

/// An answer of this media type, which nobody keeps or takes for another.
pub(super) fn answer(
    status: StatusCode,
    media_type: &'static str,
    content: impl Into<Content>,
) -> Answer {
    let mut answer = Response::new(content.into());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// A page, which runs no script but the one that is served beside it, and which no other
/// site shows in a frame.
pub(super) fn html(status: StatusCode, page: String) -> Answer {
    let mut answer = answer(status, "text/html; charset=utf-8", page);
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Sends the browser to another page of this server.
pub(super) fn see_other(path: &str) -> Answer {
    let mut answer = text(StatusCode::SEE_OTHER, "see the other page");
    if let Ok(path) = HeaderValue::from_str(path) {
        answer.headers_mut().insert(header::LOCATION, path);
    }
    answer
}

/// A line for people.
pub(super) fn text(status: StatusCode, line: &'static str) -> Answer {
    answer(status, "text/plain; charset=utf-8", format!("{line}\n"))
}

/// A JSON document.
pub(super) fn json(status: StatusCode, value: &Value) -> Answer {
    answer(status, "application/json", format!("{value}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(accept: &[&'static str]) -> Format {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, HeaderValue::from_static(value));
        }
        Format::of(&headers)
    }

    #[test]
    fn the_format_is_the_one_that_the_client_likes_best() {
        use Format::{OpenMetrics, Prometheus};
        for (accept, expected) in [
            (&[][..], Prometheus),
            (&["*/*"], Prometheus),
            (&["text/html, */*;q=0.1"], Prometheus),
            // Prometheus 2.42.
            (
                &[
                    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                ],
                OpenMetrics,
            ),
            (&["application/openmetrics-text"], OpenMetrics),
            (&["application/openmetrics-text;q=0"], Prometheus),
            (
                &["application/openmetrics-text;q=0.2", "text/plain"],
                Prometheus,
            ),
            (
                &["Application/OpenMetrics-Text ; q=0.9 , text/plain;q=0.5"],
                OpenMetrics,
            ),
            (&["application/openmetrics-text;q=nonsense"], Prometheus),
            (&["application/openmetrics-text;q=9"], Prometheus),
            (&[";;;,,,q=1;q="], Prometheus),
        ] {
            assert_eq!(format(accept), expected, "{accept:?}");
        }
    }
}
