//! One authenticated connection to PostgreSQL.
//!
//! A [`Connection`] carries in its type what is known of it: a fresh or
//! scrubbed one is [`Unbound`]; the states in which it belongs to a tenant are
//! made by the room `attach` alone.

mod addresses;
mod aim;
mod authenticate;
mod connect;
mod connection;
mod customs;
mod hint;
mod identity;
mod lag;
mod parameters;
mod prepared;
mod roll;
mod secure;
mod vet;

pub use addresses::Address;
pub(crate) use addresses::{Attempt, addresses, first_of};
pub(crate) use authenticate::log_in;
pub(crate) use connect::{CancelConnection, ask_to_cancel, dial_at, probe};
pub use connect::{ConnectError, Target, connect, not_served};
pub use connection::{BackendKey, Connection, ConnectionId, Pipe, Unbound};
pub use customs::Customs;
pub use hint::Origin;
pub(crate) use hint::hint_of_refusal;
pub(crate) use identity::{IDENTITY, confirm};
pub use lag::Lag;
pub use parameters::Parameters;
pub use prepared::{Moment, Prepared, PreparedId, PreparedSet, Shape, StatementName};
pub use roll::{Card, Held, Roll};
pub(crate) use secure::{Secured, secure};
