//! A tenant-aware proxy that speaks the PostgreSQL wire protocol.
//!
//! Data flows one way through the rooms: bytes → [`wire`] → [`login`] →
//! Principal → [`tenant`] → Tenant → [`session`] → ([`guard`]) → [`pool`] →
//! [`attach`] → [`server`] → bytes. Tokens that clients log in with are verified in
//! [`jwt`]. Imports point downwards only. Queries of our
//! own go through [`maintenance`], beside that stream.

pub mod attach;
pub mod directory;
pub mod gateway;
pub mod guard;
pub mod jwt;
pub mod login;
pub mod maintenance;
pub mod observe;
pub mod pool;
pub mod provision;
pub mod server;
pub mod session;
pub mod settings;
pub mod tenant;
pub mod throwaway;
pub mod transport;
pub mod wire;
