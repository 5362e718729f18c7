//! A read buffer: bytes that have arrived and are not yet done with.

use std::cell::RefCell;

/// Bytes of a buffer as it is handed out.
const STANDARD: usize = 32 * 1024;
/// How many buffers a thread keeps for the next user.
const KEPT: usize = 64;

thread_local! {
    /// Buffers at rest, so that an idle connection holds none and a busy one
    /// does not allocate.
    static AT_REST: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// A read buffer. It holds memory only while it holds bytes or is read into.
#[derive(Debug, Default)]
pub struct Buffer {
    memory: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// An empty buffer, without memory yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The bytes that have arrived and are not consumed.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        self.memory.get(self.start..self.end).unwrap_or_default()
    }

    /// How many there are.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether there is none.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Consumes `n` bytes at the front.
    #[inline]
    pub fn consume(&mut self, n: usize) {
        debug_assert!(n <= self.len());
        self.start = (self.start + n).min(self.end);
        if self.is_empty() {
            self.start = 0;
            self.end = 0;
        }
    }

    /// The free space behind the bytes, to be read into; never empty. Moves the
    /// bytes to the front, or doubles the memory, when there is none.
    #[inline]
    pub fn room(&mut self) -> &mut [u8] {
        if self.is_empty() && self.memory.len() < STANDARD {
            self.memory = AT_REST
                .with_borrow_mut(Vec::pop)
                .unwrap_or_else(|| vec![0; STANDARD].into_boxed_slice());
        }
        if self.end == self.memory.len() {
            if self.start > 0 {
                self.memory.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            } else {
                let mut larger = vec![0; (self.memory.len() * 2).max(STANDARD)];
                if let Some(front) = larger.get_mut(..self.end) {
                    front.copy_from_slice(&self.memory);
                }
                self.memory = larger.into_boxed_slice();
            }
        }
        self.memory.get_mut(self.end..).unwrap_or_default()
    }

    /// Says that `n` bytes were read into [`room`](Self::room).
    #[inline]
    pub fn filled(&mut self, n: usize) {
        self.end = (self.end + n).min(self.memory.len());
    }

    /// Holds no more memory than its bytes need, until more are read: for a
    /// while in which nothing is done with them.
    pub fn shrink(&mut self) {
        if self.memory.len() == STANDARD && self.len() < STANDARD {
            let bytes: Box<[u8]> = self.bytes().into();
            let end = bytes.len();
            self.consume(self.len());
            self.release();
            *self = Self {
                memory: bytes,
                start: 0,
                end,
            };
        }
    }

    /// Gives the memory back if no byte is held.
    #[inline]
    pub fn release(&mut self) {
        if !self.is_empty() {
            return;
        }
        let memory = std::mem::take(&mut self.memory);
        (self.start, self.end) = (0, 0);
        if memory.len() == STANDARD {
            AT_REST.with_borrow_mut(|kept| {
                if kept.len() < KEPT {
                    kept.push(memory);
                }
            });
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.consume(self.len());
        // The thread's own storage may be gone when the thread ends.
        let memory = std::mem::take(&mut self.memory);
        if memory.len() == STANDARD {
            let _ = AT_REST.try_with(|kept| {
                if let Ok(mut kept) = kept.try_borrow_mut()
                    && kept.len() < KEPT
                {
                    kept.push(memory);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(buffer: &mut Buffer, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = buffer.room();
            let n = room.len().min(rest.len());
            room[..n].copy_from_slice(&rest[..n]);
            buffer.filled(n);
            rest = &rest[n..];
        }
    }

    #[test]
    fn bytes_come_out_as_they_went_in_however_much_it_grows() {
        let mut buffer = Buffer::new();
        let data: Vec<u8> = (0..=250).cycle().take(STANDARD * 5).collect();
        read(&mut buffer, &data[..1000]);
        buffer.consume(500);
        read(&mut buffer, &data[1000..]);
        assert_eq!(buffer.bytes(), &data[500..]);
        buffer.consume(buffer.len());
        assert!(buffer.is_empty());
        buffer.release();
        assert_eq!(buffer.memory.len(), 0);
    }

    #[test]
    fn a_full_buffer_reuses_consumed_space_before_it_grows() {
        let mut buffer = Buffer::new();
        read(&mut buffer, &vec![1; STANDARD]);
        buffer.consume(10);
        assert_eq!(buffer.room().len(), 10);
        assert_eq!(buffer.memory.len(), STANDARD);
    }
}
