//! What a server said to a query of our own, told to people.

/// What PostgreSQL or the driver said: message, SQLSTATE, detail and hint on one
/// line. No statement and no parameter is in it.
#[must_use]
pub fn explain(error: &tokio_postgres::Error) -> String {
    let Some(said) = error.as_db_error() else {
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(next) = cause {
            text = format!("{text}: {next}");
            cause = next.source();
        }
        return text;
    };
    let mut text = format!("{} ({})", said.message(), said.code().code());
    if let Some(detail) = said.detail() {
        text = format!("{text}; {detail}");
    }
    if let Some(hint) = said.hint() {
        text = format!("{text}; hint: {hint}");
    }
    text
}
