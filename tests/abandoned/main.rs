//! Clients that leave or stall in the midst of something: their server
//! connections come back, nobody else notices, and nobody is told half a message.

#![allow(clippy::unwrap_used, clippy::panic)]
#![allow(missing_docs, unreachable_pub)]

mod half_close;
mod leave;
mod left;
mod messages;
mod pipelines;
mod running;
mod stalls;

use socket2::SockRef;
use std::net::Shutdown;
use std::time::Duration;
use testkit::{Options, Proxy, Raw, site};

/// A proxy with a database of its own, in which tenants can fill `bulk`.
fn with_bulk(options: Options) -> Proxy {
    let database = site().fresh_database();
    site().sql(
        &database,
        "CREATE TABLE bulk (n integer, t text); GRANT ALL ON bulk TO wellness_app;",
    );
    Proxy::start(&Options {
        database,
        ..options
    })
}

/// A session of the superuser, straight on the server.
fn superuser(database: &str) -> Raw {
    let cluster = &site().cluster;
    Raw::log_in(
        cluster.port(),
        cluster.superuser_password(),
        &[("user", "postgres"), ("database", database)],
    )
    .unwrap()
}

/// How a client goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    /// With Terminate, and then closes the socket.
    Terminate,
    /// Closes the socket.
    Close,
    /// Resets the connection.
    Reset,
}

const WAYS_TO_LEAVE: [Leaving; 3] = [Leaving::Terminate, Leaving::Close, Leaving::Reset];

impl Leaving {
    fn go(self, mut client: Raw) {
        match self {
            Self::Terminate => client.send(b"X\0\0\0\x04"),
            Self::Close => {
                // What has come unread would make it a reset.
                let _ = client.stream.shutdown(Shutdown::Write);
            }
            Self::Reset => SockRef::from(&client.stream)
                .set_linger(Some(Duration::ZERO))
                .unwrap(),
        }
        drop(client);
    }
}
