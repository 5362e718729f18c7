//! `servers.NAME.application_name`: who a client is, in PostgreSQL's own log.

use super::reader::Entry;
use super::template::Template;

/// PostgreSQL cuts longer ones (NAMEDATALEN - 1).
const MOST_BYTES: usize = 63;
/// What a template can name.
const NAMES: [&str; 3] = ["app", "tenant", "login"];

/// A template for `application_name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationName(Template);

impl ApplicationName {
    /// The name for a client that calls itself `app`. Where all is longer than
    /// PostgreSQL takes, `app` is cut: it is the client's choice, and must not push out
    /// the rest.
    #[must_use]
    pub fn fill(&self, app: &str, tenant: &str, login: &str) -> String {
        let filled = |app: &str| {
            let text = self.0.fill(|name| match name {
                "app" => Some(app),
                "tenant" => Some(tenant),
                _ => Some(login),
            });
            text.map(|text| visible(&text)).unwrap_or_default()
        };
        let app = visible(app);
        let times = self.0.placeholders().filter(|name| *name == "app").count();
        let room = MOST_BYTES.saturating_sub(filled("").len());
        let app = app.get(..room / times.max(1)).unwrap_or(&app);
        let mut name = filled(app);
        name.truncate(MOST_BYTES);
        name.trim().to_owned()
    }
}

/// The text as PostgreSQL takes it: visible ASCII characters, `?` for others.
fn visible(text: &str) -> String {
    let visible = |c: char| if matches!(c, ' '..='~') { c } else { '?' };
    text.chars().map(visible).collect()
}

pub(super) fn read(entry: &Entry<'_>) -> Option<ApplicationName> {
    let template = match Template::parse(entry.text()?) {
        Ok(template) => template,
        Err(reason) => {
            entry.refuse(reason);
            return None;
        }
    };
    if let Some(other) = template.placeholders().find(|name| !NAMES.contains(name)) {
        entry.refuse(format!(
            "{{{other}}} is not known here: right are {{app}}, {{tenant}} and {{login}}"
        ));
        return None;
    }
    Some(ApplicationName(template))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_s_part_cannot_push_out_the_rest() {
        let name = ApplicationName(Template::parse("{app} {tenant} {login}").unwrap());
        assert_eq!(name.fill("psql", "t1", "o1"), "psql t1 o1");
        assert_eq!(name.fill("", "t1", "o1"), "t1 o1");
        assert_eq!(name.fill("{login}é\n", "t1", "o1"), "{login}?? t1 o1");
        let long = name.fill(&"x".repeat(1000), "t1", "o1");
        assert!(long.ends_with("x t1 o1") && long.len() == 63);
        let long = name.fill("a", &"t".repeat(100), "o1");
        assert!(long.starts_with("ttt") && long.len() <= 63);
    }
}
