//! Where a client comes from.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Where a client comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientAddress {
    /// Over TCP, from here; behind a balancer as that one says.
    Tcp(SocketAddr),
    /// Over a Unix-domain socket: from this machine.
    Local,
}

impl ClientAddress {
    /// What `allowed` of tenants calls clients on a Unix-domain socket, and the log.
    pub const LOCAL: &'static str = "local";

    /// The address, where there is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip()),
            Self::Local => None,
        }
    }
}

impl From<SocketAddr> for ClientAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Local => f.write_str(Self::LOCAL),
        }
    }
}
