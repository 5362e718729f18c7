//! What is promised, by the ids that SECURITY.md gives it.

/// A promise of SECURITY.md, or a condition that a deployment has to fulfil (`D…`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise {
    /// The id, which stays.
    pub id: &'static str,
    /// It, in a line.
    pub title: &'static str,
    /// Why nothing of it can be seen from a client's side.
    pub unseen: Option<&'static str>,
}

const fn seen(id: &'static str, title: &'static str) -> Promise {
    Promise {
        id,
        title,
        unseen: None,
    }
}

const fn unseen(id: &'static str, title: &'static str, why: &'static str) -> Promise {
    Promise {
        id,
        title,
        unseen: Some(why),
    }
}

/// All of them, in the order of SECURITY.md.
pub const PROMISES: &[Promise] = &[
    seen("P1", "the tenant comes from the credential alone"),
    seen("P2", "a connection without a tenant shows no row"),
    seen(
        "P3",
        "the tenant is attached by itself, and no rollback undoes it",
    ),
    seen("P4", "what is not understood is not forwarded"),
    seen(
        "P5",
        "statements that change the tenant's context are refused",
    ),
    seen("P6", "nothing of one tenant is left for the next"),
    seen(
        "P7",
        "what is believed of a session changes with the server's answers",
    ),
    seen(
        "P8",
        "names of prepared statements reach what the client has prepared",
    ),
    unseen(
        "P9",
        "a server connection is held for a bounded time",
        "to see it, the connections of the pool would have to be taken from the application",
    ),
    seen("P10", "settings of one client do not reach another"),
    unseen(
        "P11",
        "each refusal is logged, and no secret is",
        "clients do not see the log: look there for the refusals of these tests",
    ),
    seen(
        "P12",
        "the role of server connections is bound by row-level security",
    ),
    seen("P13", "the channels between tenants are closed"),
    seen("P14", "a request to cancel strikes its own session alone"),
    seen("P15", "the seal keeps rows apart whatever the setting says"),
    seen("P16", "a masked login sees no unmasked value"),
    unseen(
        "P17",
        "a session of a tenant's own role is this tenant's for its life",
        "the server confirms it to the proxy when the session begins, before a client gets it",
    ),
    seen(
        "D1",
        "clients come over TLS, to a certificate that is valid",
    ),
    seen("D2", "the server connections are encrypted and verified"),
    seen("D3", "nobody reaches the data past the proxy"),
    seen("D4", "every table with tenants' rows keeps them apart"),
];

/// The promise of this id.
#[must_use]
pub fn promise(id: &str) -> Option<&'static Promise> {
    PROMISES.iter().find(|promise| promise.id == id)
}
