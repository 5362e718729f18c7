//! How far a read buffer has been looked at.

use crate::transport::Buffer;
use bytes::BytesMut;

/// The front of a buffer is *approved*: understood and to be forwarded as it
/// is, without a copy. Behind it lies what has not been looked at. A message
/// that is too long for the buffer is approved, or dropped, in the pieces in
/// which it comes.
#[derive(Debug, Default)]
pub struct Scan {
    approved: usize,
    passing: usize,
    dropping: usize,
}

impl Scan {
    /// The bytes to be forwarded.
    #[inline]
    pub fn approved<'a>(&self, buffer: &'a Buffer) -> &'a [u8] {
        buffer.bytes().get(..self.approved).unwrap_or_default()
    }

    /// Deals with what is known to pass or to be dropped, as far as it has
    /// arrived. Says whether a new message may begin.
    #[inline]
    pub fn advance(&mut self, buffer: &mut Buffer, staged: &mut BytesMut) -> bool {
        !self.is_within() || self.advance_within(buffer, staged)
    }

    fn advance_within(&mut self, buffer: &mut Buffer, staged: &mut BytesMut) -> bool {
        let unseen = buffer.len() - self.approved;
        if self.passing > 0 {
            let n = self.passing.min(unseen);
            self.approved += n;
            self.passing -= n;
        } else if self.dropping > 0 {
            let n = self.dropping.min(unseen);
            self.stage(buffer, staged);
            buffer.consume(n);
            self.dropping -= n;
        }
        !self.is_within()
    }

    /// The bytes behind the approved ones.
    #[inline]
    pub fn unseen<'a>(&self, buffer: &'a Buffer) -> &'a [u8] {
        buffer.bytes().get(self.approved..).unwrap_or_default()
    }

    /// Whether a message has begun to pass or to be dropped, and is not over.
    #[inline]
    pub fn is_within(&self) -> bool {
        self.passing > 0 || self.dropping > 0
    }

    /// Whether bytes wait to be forwarded.
    #[inline]
    pub fn has_approved(&self) -> bool {
        self.approved > 0
    }

    /// Approves the next `len` bytes, of which some may be still to come.
    #[inline]
    pub fn pass(&mut self, buffer: &Buffer, len: usize) {
        let n = len.min(buffer.len() - self.approved);
        self.approved += n;
        self.passing = len - n;
    }

    /// Drops the next `len` bytes, of which some may be still to come. Approved
    /// ones before them are moved to `staged`.
    pub fn drop_next(&mut self, buffer: &mut Buffer, staged: &mut BytesMut, len: usize) {
        self.stage(buffer, staged);
        let n = len.min(buffer.len());
        buffer.consume(n);
        self.dropping = len - n;
    }

    /// Moves the approved bytes to `staged`, so that others can go between.
    pub fn stage(&mut self, buffer: &mut Buffer, staged: &mut BytesMut) {
        if self.approved > 0 {
            staged.extend_from_slice(self.approved(buffer));
            buffer.consume(self.approved);
            self.approved = 0;
        }
    }

    /// Says that the first `n` approved bytes have been forwarded.
    #[inline]
    pub fn sent(&mut self, buffer: &mut Buffer, n: usize) {
        buffer.consume(n);
        self.approved -= n;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(bytes: &[u8]) -> Buffer {
        let mut buffer = Buffer::new();
        buffer.room()[..bytes.len()].copy_from_slice(bytes);
        buffer.filled(bytes.len());
        buffer
    }

    #[test]
    fn what_passes_is_not_copied_and_what_is_dropped_does_not_pass() {
        let mut input = buffer(b"aaaabbbbcc");
        let mut staged = BytesMut::new();
        let mut scan = Scan::default();
        scan.pass(&input, 4);
        assert_eq!(scan.approved(&input), b"aaaa");
        assert!(staged.is_empty());
        scan.drop_next(&mut input, &mut staged, 4);
        assert_eq!((&staged[..], input.bytes()), (&b"aaaa"[..], &b"cc"[..]));
        scan.pass(&input, 5);
        assert!(!scan.advance(&mut input, &mut staged));
        input.room()[..4].copy_from_slice(b"cccd");
        input.filled(4);
        assert!(scan.advance(&mut input, &mut staged));
        assert_eq!(scan.unseen(&input), b"d");
        assert_eq!(scan.approved(&input), b"ccccc");
        scan.sent(&mut input, 5);
        assert_eq!(scan.unseen(&input), b"d");
    }

    #[test]
    fn a_long_message_is_dropped_in_pieces() {
        let mut input = buffer(b"xx");
        let mut staged = BytesMut::new();
        let mut scan = Scan::default();
        scan.drop_next(&mut input, &mut staged, 5);
        assert!(scan.is_within() && input.is_empty());
        input.room()[..4].copy_from_slice(b"xxxy");
        input.filled(4);
        assert!(scan.advance(&mut input, &mut staged));
        assert_eq!(scan.unseen(&input), b"y");
        assert!(staged.is_empty());
    }
}
