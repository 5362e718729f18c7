//! `pgtenant demo`: a throwaway PostgreSQL, example tenants, and the proxy.

mod configuration;
mod guide;
mod ready_file;
mod site;

use super::serve::{self, Hangup, Listening};
use super::{Failure, print};
use pgtenant::{config, observe};
use site::Site;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

/// The host that certificates and connection strings name.
const HOST: &str = "localhost";

/// The ports of the proxy.
#[derive(Debug, Clone, Copy)]
struct Ports {
    clients: u16,
    page: u16,
}

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The port of the proxy on 127.0.0.1; 0 takes any free port
    #[arg(long, default_value_t = 6432)]
    port: u16,
    /// Write addresses and passwords to this file, as JSON, when everything is ready
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// The folder of PostgreSQL's server programs (initdb, postgres); the default is
    /// a search of PATH, pg_config and the usual folders
    #[arg(long, value_name = "DIR")]
    postgres_bin: Option<PathBuf>,
    /// Keep all files in this directory after the end; it must be empty or not exist
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    check_port(arguments.port)?;
    if let Some(file) = &arguments.ready_file {
        ready_file::remove(file)?;
    }
    print("Starting PostgreSQL and loading the example …")?;
    let site = Site::build(arguments)?;
    let settings = config::load(&site.config_file()).map_err(Failure::configuration)?;
    let log = observe::start_log(&settings.log);
    let file = site.config_file();
    let served = serve::serve(settings, &file, &log, Hangup::Stop, |listening| {
        announce(&site, arguments, listening)
    });
    if let Some(file) = &arguments.ready_file {
        ready_file::remove(file)?;
    }
    let farewell = guide::farewell(&site);
    drop(site);
    served?;
    print(farewell)
}

/// Says early, and by its number, that a port is taken.
fn check_port(port: u16) -> Result<(), Failure> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(Failure::run(format!(
            "port {port} is taken by another program; choose another with --port, \
             or let --port 0 find one"
        ))),
        Err(error) => Err(Failure::run(format!(
            "cannot listen on port {port}: {error}"
        ))),
    }
}

/// Tells people and programs that clients can connect.
fn announce(site: &Site, arguments: &Arguments, listening: &Listening) -> Result<(), Failure> {
    let port = |addresses: &[SocketAddr]| addresses.first().map(SocketAddr::port);
    let ports = Ports {
        clients: port(&listening.clients).unwrap_or(arguments.port),
        page: port(&listening.http).unwrap_or_default(),
    };
    // The file is to name the ports that were found, for those who read it.
    site.write_configuration(ports)?;
    print(guide::welcome(site, ports))?;
    match &arguments.ready_file {
        Some(file) => ready_file::write(file, &ready_file::text(site, ports)),
        None => Ok(()),
    }
}
