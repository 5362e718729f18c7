//! The way to the database of `[directory.sql]`, for the directory to ask it.

use super::sql_client::Database;
use crate::config::{self, Settings};
use crate::directory::{
    self, Connected, Connecting, Follower, Incumbents, LoadError, Location, SqlDatabase, SqlSource,
};
use crate::problem::Problem;
use std::sync::Arc;
use std::time::Duration;

/// Has the settings followed, the first ones or those of a reload, and completes
/// their `directory` with what the database says now. [`Follower::changed`] tells what it says later.
pub async fn adopt(follower: &mut Follower, settings: &mut Settings) {
    let source = source(settings);
    let builder = &settings.directory_builder;
    if let Some(directory) = follower.adopt(source, builder).await {
        settings.directory = directory;
    }
}

/// Completes the `directory` and the `tenants` of settings with what the database
/// of `[directory.sql]` says now, and tells what was left out of them.
///
/// # Errors
/// [`LoadError`]; the settings are as before then.
pub async fn complete(settings: &mut Settings) -> Result<Vec<Problem>, LoadError> {
    let Some(source) = source(settings) else {
        return Ok(Vec::new());
    };
    let builder = &settings.directory_builder;
    let rows = directory::load(&source, builder).await?;
    let built = builder.build(Some(&rows), &Incumbents::default());
    settings.tenants = built.directory.tenants().cloned().collect();
    settings.tenants.sort_by(|a, b| a.id.cmp(&b.id));
    settings.directory = built.directory;
    Ok(built.problems)
}

fn source(settings: &Settings) -> Option<SqlSource> {
    let source = settings.sources.sql.as_ref()?;
    Some(SqlSource {
        database: Arc::new(source.clone()),
        queries: source.queries.clone(),
    })
}

impl SqlDatabase for config::DirectoryDatabase {
    fn connect(&self) -> Connecting<'_> {
        Box::pin(async {
            let password = self.password.as_ref();
            let connecting =
                Database::connect_to_follow(&self.server, &self.database, &self.user, password);
            let (database, notifications) = connecting.await?;
            Ok(Connected {
                client: database.client,
                notifications,
            })
        })
    }

    fn connect_timeout(&self) -> Duration {
        self.server.connect_timeout
    }

    fn location(&self) -> Location<'_> {
        Location {
            host: &self.server.hosts.first().name,
            port: self.server.hosts.first().port,
            database: &self.database,
            user: &self.user,
        }
    }
}
