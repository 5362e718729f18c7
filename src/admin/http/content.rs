//! What an answer holds: bytes that are there, or text that is still being written.
//!
//! The text of all metrics has megabytes with many tenants. It goes out in pieces while
//! a thread writes it, which waits where the client does not keep up: so an answer takes
//! little memory, however long it is.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// About so long is a piece of text, in bytes.
const PIECE: usize = 64 << 10;
/// So much may be written at once, in bytes, before a piece is found to be long enough.
const LAST: usize = 16 << 10;
/// So many pieces wait to be sent.
const WAITING: usize = 4;

/// What an answer holds.
pub(super) enum Content {
    /// All of it.
    Whole(Bytes),
    /// What somebody writes.
    Written {
        pieces: mpsc::Receiver<Piece>,
        is_whole: bool,
        _permit: Arc<OwnedSemaphorePermit>,
    },
    /// What comes bit by bit, with no end of its own.
    Fed {
        pieces: mpsc::Receiver<Bytes>,
        _permit: OwnedSemaphorePermit,
    },
}

/// A part of what is written.
pub(super) enum Piece {
    Text(Bytes),
    /// There is no more.
    End,
}

/// The text ends before its end: the client must not take it for whole.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the text has not been written to its end")]
pub(super) struct Torn;

/// Writes the text of an answer, not on the thread that sends it. What it writes fails
/// once nobody takes it any more.
pub(super) struct Pen {
    pieces: mpsc::Sender<Piece>,
    text: String,
    _permit: Arc<OwnedSemaphorePermit>,
}

impl Content {
    /// Content that the pen writes. Both keep the permit.
    pub(super) fn written(permit: OwnedSemaphorePermit) -> (Pen, Self) {
        let permit = Arc::new(permit);
        let (sender, pieces) = mpsc::channel(WAITING);
        let pen = Pen {
            pieces: sender,
            text: String::new(),
            _permit: permit.clone(),
        };
        let content = Self::Written {
            pieces,
            is_whole: false,
            _permit: permit,
        };
        (pen, content)
    }
}

impl Content {
    /// What the other end of the channel sends.
    pub(super) fn fed(pieces: mpsc::Receiver<Bytes>, permit: OwnedSemaphorePermit) -> Self {
        Self::Fed {
            pieces,
            _permit: permit,
        }
    }
}

impl<T: Into<Bytes>> From<T> for Content {
    fn from(bytes: T) -> Self {
        Self::Whole(bytes.into())
    }
}

impl Pen {
    /// All is written.
    pub(super) fn finish(mut self) -> fmt::Result {
        self.send()?;
        self.put(Piece::End)
    }

    fn send(&mut self) -> fmt::Result {
        let room = String::with_capacity(PIECE + LAST);
        let text = std::mem::replace(&mut self.text, room);
        self.put(Piece::Text(text.into()))
    }

    fn put(&self, piece: Piece) -> fmt::Result {
        self.pieces.blocking_send(piece).map_err(|_| fmt::Error)
    }
}

impl fmt::Write for Pen {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.text.push_str(text);
        match self.text.len() < PIECE {
            true => Ok(()),
            false => self.send(),
        }
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Torn;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Torn>>> {
        let frame = match &mut *self {
            Self::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                (!bytes.is_empty()).then(|| Ok(Frame::data(bytes)))
            }
            Self::Fed { pieces, .. } => {
                ready!(pieces.poll_recv(context)).map(|piece| Ok(Frame::data(piece)))
            }
            Self::Written { is_whole: true, .. } => None,
            Self::Written {
                pieces, is_whole, ..
            } => match ready!(pieces.poll_recv(context)) {
                Some(Piece::Text(text)) => Some(Ok(Frame::data(text))),
                Some(Piece::End) => {
                    *is_whole = true;
                    None
                }
                None => Some(Err(Torn)),
            },
        };
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Written { is_whole, .. } => *is_whole,
            Self::Fed { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Written { .. } | Self::Fed { .. } => SizeHint::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;
    use std::fmt::Write as _;
    use std::thread::{JoinHandle, spawn};
    use tokio::sync::Semaphore;

    const LINE: &str = "a line of which there are many\n";

    /// An answer that a thread writes, and its place.
    fn written(
        work: impl FnOnce(Pen) -> fmt::Result + Send + 'static,
    ) -> (Content, Arc<Semaphore>, JoinHandle<fmt::Result>) {
        let places = Arc::new(Semaphore::new(1));
        let permit = places.clone().try_acquire_owned().expect("it is free");
        let (pen, content) = Content::written(permit);
        (content, places, spawn(move || work(pen)))
    }

    #[tokio::test]
    async fn text_of_any_length_comes_whole_and_in_pieces() {
        for lines in [0, 1, 100_000] {
            let (content, places, writer) = written(move |mut pen| {
                (0..lines).try_for_each(|_| pen.write_str(LINE))?;
                pen.finish()
            });
            let got = content.collect().await.expect("is whole").to_bytes();
            assert!(got == LINE.repeat(lines), "{lines}: {}", got.len());
            assert_eq!(writer.join().expect("has not panicked"), Ok(()));
            assert_eq!(places.available_permits(), 1);
        }
    }

    #[tokio::test]
    async fn text_that_was_not_finished_is_not_taken_for_whole() {
        let (content, _, _) = written(|mut pen| {
            pen.write_str(&LINE.repeat(10_000))?;
            Err(fmt::Error)
        });
        assert!(content.collect().await.is_err());
    }

    /// It would go on for ever.
    #[tokio::test]
    async fn a_writer_of_what_nobody_takes_any_more_ends() {
        let (mut content, places, writer) = written(|mut pen| {
            loop {
                pen.write_str(LINE)?;
            }
        });
        for _ in 0..100 {
            assert!(content.frame().await.is_some_and(|frame| frame.is_ok()));
        }
        assert_eq!(places.available_permits(), 0);
        drop(content);
        assert_eq!(writer.join().expect("has not panicked"), Err(fmt::Error));
        assert_eq!(places.available_permits(), 1);
    }
}
