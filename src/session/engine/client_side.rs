//! The client's bytes: what has come, how far it has been looked at, what is to go.

use super::super::scan::Scan;
use super::judge::Admitted;
use super::upstream::put_len;
use crate::protocol::ClientError;
use crate::protocol::frontend::{self, FrameError, HEADER, Header, Kind};
use crate::transport::Buffer;
use bytes::BytesMut;

/// Longest front of a Bind (its two names) that is taken, in bytes.
pub(super) const MAX_NAMES: usize = 16 << 10;

/// The client's bytes, both ways.
#[derive(Debug, Default)]
pub(in crate::session) struct ClientSide {
    pub(in crate::session) input: Buffer,
    pub(in crate::session) output: BytesMut,
    pub(in crate::session) scan: Scan,
    /// A message of the server's has been sent to the client in part.
    pub(in crate::session) torn: bool,
}

/// One whole message, or the front of a long one, at the head of the buffer.
pub(super) enum Next {
    Message(Header),
    TooLong(Header),
    Incomplete,
}

impl ClientSide {
    /// `input`: what the client has sent already.
    pub(in crate::session) fn new(input: Buffer) -> Self {
        Self {
            input,
            ..Self::default()
        }
    }

    /// Queues a message for the client.
    pub(in crate::session) fn send(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut message = Vec::with_capacity(64);
        write(&mut message);
        self.output.extend_from_slice(&message);
    }

    /// Queues an error for the client.
    pub(in crate::session) fn send_error(&mut self, error: &ClientError) {
        self.send(|out| error.encode(out));
    }

    /// The client's next message. `longest`: the longest Query or Parse that is
    /// taken, in bytes. `skipping`: it will be dropped. What passes before it goes
    /// to `output`, if something must be dropped.
    pub(super) fn next(
        &mut self,
        output: &mut BytesMut,
        longest: usize,
        skipping: bool,
    ) -> Result<Next, FrameError> {
        if !self.scan.advance(&mut self.input, output) {
            return Ok(Next::Incomplete);
        }
        next(self.scan.unseen(&self.input), longest, skipping)
    }

    /// What has arrived of the message's body.
    pub(super) fn body(&self, header: Header) -> &[u8] {
        let bytes = self.scan.unseen(&self.input);
        let end = bytes.len().min(HEADER + header.body);
        bytes.get(HEADER..end).unwrap_or_default()
    }

    /// Lets a Query or Parse pass whose statement is admitted: as it is, or, in
    /// `output`, with the text that takes its text's place.
    pub(super) fn pass_statement(
        &mut self,
        header: Header,
        admitted: &Admitted,
        output: &mut BytesMut,
    ) {
        if admitted.verdict().instead.is_none() {
            return self.scan.pass(&self.input, HEADER + header.body);
        }
        let body = self.body(header);
        let name = match header.kind {
            Kind::Parse => memchr::memchr(0, body).map_or(0, |end| end + 1),
            _ => 0,
        };
        let (name, tail) = body.split_at_checked(name).unwrap_or_default();
        let (name, tail) = (name.to_vec(), admitted.tail(tail).into_owned());
        self.drop_next(header, output);
        output.extend_from_slice(match header.kind {
            Kind::Parse => b"P",
            _ => b"Q",
        });
        put_len(output, name.len() + tail.len());
        output.extend_from_slice(&name);
        output.extend_from_slice(&tail);
    }

    /// Lets a message pass as it is that has no statement in it.
    pub(super) fn pass(&mut self, header: Header) {
        debug_assert!(!matches!(header.kind, Kind::Query | Kind::Parse));
        self.scan.pass(&self.input, HEADER + header.body);
    }

    /// Takes the message out; what passes before it goes to `output`.
    pub(super) fn drop_next(&mut self, header: Header, output: &mut BytesMut) {
        self.scan
            .drop_next(&mut self.input, output, HEADER + header.body);
    }

    /// Moves what passes into `output`, so that something of ours can follow.
    pub(super) fn stage(&mut self, output: &mut BytesMut) {
        self.scan.stage(&mut self.input, output);
    }
}

fn next(rest: &[u8], longest: usize, skipping: bool) -> Result<Next, FrameError> {
    let Some(header) = frontend::header(rest)? else {
        return Ok(Next::Incomplete);
    };
    let here = rest.len() - HEADER;
    let needed = match header.kind {
        // Content that is not looked at.
        Kind::CopyData => 0,
        Kind::CopyDone | Kind::CopyFail | Kind::Flush | Kind::Sync | Kind::Terminate => 0,
        _ if skipping => 0,
        // The function's OID.
        Kind::FunctionCall => header.body.min(4),
        Kind::Query | Kind::Parse if header.body > longest => {
            return Ok(Next::TooLong(header));
        }
        Kind::Bind => {
            let body = rest.get(HEADER..).unwrap_or_default();
            if header.body > here && frontend::bind_head(body).is_none() {
                if here > MAX_NAMES {
                    return Ok(Next::TooLong(header));
                }
                return Ok(Next::Incomplete);
            }
            0
        }
        _ => header.body,
    };
    if here < needed {
        return Ok(Next::Incomplete);
    }
    Ok(Next::Message(header))
}
