//! Asking a new connection whether its role is fit for tenants.

use super::Parameters;
use super::authenticate::Login;
use super::connect::{ConnectError, Target};
use crate::protocol::backend::{self, FrameError, Report};
use crate::tenant::{Found, OwnSession};
use bytes::BytesMut;
use postgres_protocol::message::frontend;

impl Login {
    /// Refuses a role that what keeps tenants apart does not bind, before anybody is
    /// given the connection.
    pub(super) async fn vet(
        &mut self,
        target: &Target<'_>,
        parameters: &mut Parameters,
    ) -> Result<(), ConnectError> {
        let mut found = Found {
            superuser: parameters.get("is_superuser") == Some("on"),
            ..Found::default()
        };
        let known = target.vetting.judge(&found);
        if known.is_none() && target.vetting.needs_query() {
            found = self.ask(target, parameters).await?;
            if target.vetting.is_masked() {
                found.clear = self.ask_clear(parameters).await?;
            }
        }
        if let Some(unfit) = target.vetting.judge(&found) {
            return Err(ConnectError::Unfit(unfit));
        }
        match target.vetting.own() {
            None => Ok(()),
            Some(own) => self.confirm(own, parameters).await,
        }
    }

    /// Refuses a session that is not the one tenant's that it was opened for.
    async fn confirm(
        &mut self,
        own: &OwnSession,
        parameters: &mut Parameters,
    ) -> Result<(), ConnectError> {
        let row = self.row(&own.query(), parameters).await?;
        let row = row.map_err(ConnectError::Refused)?;
        let columns: Vec<_> = row.iter().map(Option::as_deref).collect();
        let judged = own.judge(&columns).ok_or(FrameError)?;
        judged.map_err(ConnectError::Unfit)
    }

    async fn ask(
        &mut self,
        target: &Target<'_>,
        parameters: &mut Parameters,
    ) -> Result<Found, ConnectError> {
        let settings = target.vetting.unsealed().map(|name| &**name);
        let query = Found::query(settings);
        // No operator of anybody's own; for this string of statements alone.
        let sql = format!("SET LOCAL search_path = pg_catalog, pg_temp; {query}");
        let row = self.row(&sql, parameters).await?;
        let row = row.map_err(ConnectError::Refused)?;
        let columns: Vec<_> = row.iter().map(Option::as_deref).collect();
        Found::parse(&columns).ok_or(FrameError.into())
    }

    /// What lets the role read what is not masked.
    async fn ask_clear(
        &mut self,
        parameters: &mut Parameters,
    ) -> Result<Option<String>, ConnectError> {
        let query = Found::clear_query("CURRENT_USER");
        let sql = format!(
            "SET LOCAL search_path = pg_catalog, pg_temp; \
             SELECT pg_catalog.string_agg(w.reason, '; ') FROM ({query}) AS w (reason)"
        );
        let row = self.row(&sql, parameters).await?;
        let mut row = row.map_err(ConnectError::Refused)?;
        row.pop().ok_or(FrameError.into())
    }

    /// Runs SQL that gives one row: its values as texts, or the server's refusal. The
    /// session is idle then.
    pub(super) async fn row(
        &mut self,
        sql: &str,
        parameters: &mut Parameters,
    ) -> Result<Result<Vec<Option<String>>, Report>, ConnectError> {
        let mut packet = BytesMut::new();
        frontend::query(sql, &mut packet)?;
        self.transport.write_all(&packet).await?;
        let mut outcome = None;
        loop {
            let (tag, body) = match (self.message().await, outcome) {
                (Ok(message), before) => {
                    outcome = before;
                    message
                }
                // ReadyForQuery comes behind it, unless the session has ended.
                (Err(ConnectError::Refused(report)), _) => {
                    outcome = Some(Err(report));
                    continue;
                }
                // It has, and said why.
                (Err(_), Some(Err(report))) => return Err(ConnectError::Refused(report)),
                (Err(error), _) => return Err(error),
            };
            match tag {
                b'S' => parameters.update(&body)?,
                b'T' | b'C' => {}
                b'D' if outcome.is_none() => outcome = Some(Ok(texts(&body)?)),
                b'Z' if body == b"I" => return outcome.ok_or(FrameError.into()),
                _ => return Err(FrameError.into()),
            }
        }
    }
}

fn texts(row: &[u8]) -> Result<Vec<Option<String>>, FrameError> {
    let row = backend::data_row(row).ok_or(FrameError)?;
    let text = |column: Option<&[u8]>| column.map(|text| String::from_utf8(text.to_vec()));
    let columns = row.into_iter().map(|column| text(column).transpose());
    columns.collect::<Result<_, _>>().map_err(|_| FrameError)
}
