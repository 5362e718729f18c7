//! Trying to reach servers that could not be reached.
//!
//! A proxy that is not ready gets no clients, and so would never find out that its
//! server is there again.

use super::Shared;
use crate::config::{Contact, Server};
use crate::ops::sql_client::{Database, SqlClientError};
use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_secs(1);
/// Every server has it, and most roles may connect to it. A refusal is an answer, too.
const DATABASE: &str = "postgres";

/// Tries each of them again and again, without an end.
pub(super) async fn watch(shared: Arc<Shared>) {
    loop {
        sleep(PAUSE).await;
        let mut attempts = JoinSet::new();
        for server in shared.pools.out_of_reach() {
            attempts.spawn(attempt(server));
        }
        while attempts.join_next().await.is_some() {}
    }
}

async fn attempt(server: Arc<Server>) {
    let password = server.password.as_ref();
    let opened = Database::connect(&server, DATABASE, &server.user, password).await;
    server.reached.tried(contact(opened.err()));
}

fn contact(failure: Option<SqlClientError>) -> Contact {
    let fails = match &failure {
        None => false,
        Some(SqlClientError::Connect { source, .. }) => !source.is_answer(),
        Some(SqlClientError::Login { source, .. } | SqlClientError::Query(source)) => {
            match source.as_db_error() {
                Some(said) => said.code().code().starts_with("57P"),
                // Else the server asks for something that it is not given.
                None => source
                    .source()
                    .is_some_and(<dyn std::error::Error>::is::<io::Error>),
            }
        }
    };
    match failure.filter(|_| fails) {
        Some(error) => Contact::Failed(error.to_string().into()),
        None => Contact::Answered,
    }
}
