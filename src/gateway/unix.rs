//! The Unix-domain socket that clients on this machine connect to.

use super::Shared;
use super::sockets::{BACKLOG, accept};
use crate::config::UnixListen;
use crate::login::{Arrived, LoginError};
use crate::protocol::ClientError;
use crate::transport::{ClientAddress, Socket};
use nix::libc::O_NOFOLLOW;
use socket2::{Domain, SockAddr, Type};
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::Context;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::Instant;

/// A socket that is listened on. Dropping it removes it.
#[derive(Debug)]
pub(super) struct LocalListener {
    listener: UnixListener,
    path: PathBuf,
    /// Held while the socket is this process's.
    _lock: File,
}

impl LocalListener {
    /// Listens; an error names the socket. What a process has left that is gone is
    /// removed, and nothing else.
    pub(super) fn bind(unix: &UnixListen, port: u16) -> io::Result<Self> {
        let path = unix.folder.join(format!(".s.PGSQL.{port}"));
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let lock = unix.folder.join(format!(".pgtenant.{port}.lock"));
        let lock = locked(&lock).map_err(named)?;
        remove_left(&path).map_err(named)?;
        let listener = listen(&path, unix.mode).map_err(named)?;
        Ok(Self {
            listener,
            path,
            _lock: lock,
        })
    }

    /// The socket.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Accepts for ever, and passes on whoever may come.
    pub(super) async fn accept(self, shared: Arc<Shared>, pass_on: impl Fn(Socket)) {
        let next = |context: &mut Context<'_>| self.listener.poll_accept(context);
        let greet = |(stream, _)| match refusal(&stream, &shared) {
            None => pass_on(stream.into()),
            Some(error) => turn_away(stream, error, &shared),
        };
        accept(next, greet).await;
    }
}

impl Drop for LocalListener {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The lock of the socket: no other process of the proxy's has it.
fn locked(path: &Path) -> io::Result<File> {
    let lock = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(O_NOFOLLOW)
        .open(path)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another proxy listens there",
        )),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Removes a socket that nobody listens on any more.
fn remove_left(path: &Path) -> io::Result<()> {
    let is_socket = match fs::symlink_metadata(path) {
        Ok(there) => there.file_type().is_socket(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let in_use = |why: &str| io::Error::new(io::ErrorKind::AddrInUse, why.to_owned());
    if !is_socket {
        return Err(in_use("something else than a socket is there"));
    }
    // Not waited for: one whose queue is full listens, too.
    let probe = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    probe.set_nonblocking(true)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Err(in_use("somebody listens there")),
    }
}

/// Nobody can connect before the rights are set.
fn listen(path: &Path, mode: u32) -> io::Result<UnixListener> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    socket.listen(BACKLOG)?;
    UnixListener::from_std(socket.into())
}

/// Why the process at the other end may not connect.
fn refusal(stream: &UnixStream, shared: &Shared) -> Option<LoginError> {
    let live = shared.live.load();
    let unix = live.listen.unix.as_ref();
    let user = match stream.peer_cred() {
        Ok(process) => process.uid(),
        Err(error) => return Some(LoginError::Lost(error)),
    };
    if unix.is_none_or(|unix| unix.admits(user)) {
        return None;
    }
    let error = ClientError::fatal("28000", "this user of the system may not connect")
        .hint("The administrator can name it in listen.unix_users.");
    Some(LoginError::Refused {
        reason: format!("the system's user {user} is not in listen.unix_users"),
        error: Box::new(error),
    })
}

fn turn_away(stream: UnixStream, error: LoginError, shared: &Arc<Shared>) {
    let nobody = super::known::Known::default();
    super::known::refused(ClientAddress::Local, &nobody, &error, &shared.audit);
    nobody.count(&shared.ledger, None, &error);
    let deadline = Instant::now() + shared.live.load().listen.login_timeout;
    let arrived = Arrived::new(stream, deadline);
    tokio::spawn(async move { arrived.turn_away(&error).await });
}
