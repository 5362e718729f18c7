//! Asking a new connection whether its role is fit for tenants.

use super::Parameters;
use super::authenticate::Login;
use super::connect::{ConnectError, Target};
use crate::protocol::backend::{self, FrameError};
use crate::tenant::Found;
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
        }
        match target.vetting.judge(&found) {
            None => Ok(()),
            Some(unfit) => Err(ConnectError::Unfit(unfit)),
        }
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
        let mut packet = BytesMut::new();
        frontend::query(&sql, &mut packet)?;
        self.transport.write_all(&packet).await?;
        let mut found = None;
        loop {
            let (tag, body) = self.message().await?;
            match tag {
                b'S' => parameters.update(&body)?,
                b'T' | b'C' => {}
                b'D' if found.is_none() => {
                    let row = backend::data_row(&body).ok_or(FrameError)?;
                    let text = |column: Option<_>| column.map(std::str::from_utf8).transpose();
                    let columns: Result<Vec<_>, _> = row.into_iter().map(text).collect();
                    found = Found::parse(&columns.map_err(|_| FrameError)?);
                }
                b'Z' if body == b"I" => return found.ok_or(FrameError.into()),
                _ => return Err(FrameError.into()),
            }
        }
    }
}
