//! The clients of one login who wait.

use super::Waiter;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// By how many of its login's, beyond those who wait, a client may be overtaken whose
/// worker has given nothing back. To hand a connection to another worker costs a wake-up
/// across threads and the move of the connection, so it is done seldom; how many
/// connections a worker has follows from it in the end.
const PATIENCE: u64 = 16;

/// For so long at most.
const PATIENT_FOR: Duration = Duration::from_millis(20);

/// Clients of one login who wait, each with its worker.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// One queue a worker.
    by_worker: Vec<VecDeque<Waiting>>,
    len: usize,
    served: u64,
}

#[derive(Debug)]
struct Waiting {
    waiter: Waiter,
    /// So many are served before it, if all are in the order in which they came.
    due: u64,
}

impl Line {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Gives it a place behind those who have waited for longer.
    pub(super) fn push(&mut self, waiter: Waiter) {
        let worker = waiter.handle.worker();
        if self.by_worker.len() <= worker {
            self.by_worker.resize_with(worker + 1, VecDeque::new);
        }
        let last = self.served + self.len as u64;
        if let Some(queue) = self.by_worker.get_mut(worker) {
            let since = waiter.seniority.since;
            let waits_as_long = |waiting: &Waiting| waiting.waiter.seniority.since <= since;
            // Most often it is new.
            let at = match queue.back().is_none_or(waits_as_long) {
                true => queue.len(),
                false => queue.partition_point(waits_as_long),
            };
            let due = queue.get(at).map_or(last, |next| next.due);
            queue.insert(at, Waiting { waiter, due });
            self.len += 1;
        }
    }

    /// The one who came first.
    pub(super) fn first(&self) -> Option<&Waiter> {
        self.front(self.longest()?).map(|first| &first.waiter)
    }

    /// How long the one who came first has waited.
    pub(super) fn longest_wait(&self) -> Duration {
        let first = self.first();
        first.map_or(Duration::ZERO, |first| first.seniority.since.elapsed())
    }

    /// The one who is next where a worker has given a connection back. Who that is
    /// depends on the time: it is [taken](Self::take) by its own worker, which is
    /// returned with it.
    pub(super) fn next(&self, worker: Option<usize>) -> Option<(usize, &Waiter)> {
        let worker = self.next_worker(worker)?;
        Some((worker, &self.front(worker)?.waiter))
    }

    /// Takes out the first of this worker.
    pub(super) fn take(&mut self, worker: usize) -> Option<Waiter> {
        let next = self.by_worker.get_mut(worker)?.pop_front()?;
        self.len -= 1;
        self.served += 1;
        Some(next.waiter)
    }

    /// Takes one out.
    pub(super) fn remove(&mut self, worker: usize, number: u64) -> Option<Waiter> {
        let queue = self.by_worker.get_mut(worker)?;
        let at = queue.iter().position(|w| w.waiter.number == number)?;
        let removed = queue.remove(at)?;
        self.len -= 1;
        Some(removed.waiter)
    }

    /// Those whose time is over. Each queue is in the order of its deadlines, but for
    /// those who have waited elsewhere, by a little.
    pub(super) fn take_late(&mut self, now: Instant) -> std::vec::IntoIter<Waiter> {
        let mut late = Vec::new();
        for queue in &mut self.by_worker {
            let is_late = |waiting: &mut Waiting| waiting.waiter.seniority.deadline <= now;
            while let Some(waiting) = queue.pop_front_if(is_late) {
                late.push(waiting.waiter);
            }
        }
        self.len -= late.len();
        late.into_iter()
    }

    /// Nobody's time is over before `deadline`.
    pub(super) fn put_off(&mut self, deadline: Instant) {
        for waiting in self.by_worker.iter_mut().flatten() {
            let seniority = &mut waiting.waiter.seniority;
            seniority.deadline = seniority.deadline.max(deadline);
        }
    }

    /// Takes out all.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Waiter> {
        self.len = 0;
        let queues = std::mem::take(&mut self.by_worker).into_iter();
        queues.flatten().map(|waiting| waiting.waiter)
    }

    fn front(&self, worker: usize) -> Option<&Waiting> {
        self.by_worker.get(worker)?.front()
    }

    /// The worker of the one who came first.
    fn longest(&self) -> Option<usize> {
        let fronts = self.by_worker.iter().enumerate();
        let fronts = fronts.filter_map(|(worker, queue)| Some((worker, queue.front()?)));
        let first =
            fronts.min_by_key(|(_, front)| (front.waiter.seniority.since, front.waiter.number));
        first.map(|(worker, _)| worker)
    }

    /// Whose client is next.
    fn next_worker(&self, worker: Option<usize>) -> Option<usize> {
        let longest = self.longest()?;
        let first = self.front(longest)?;
        match worker {
            Some(worker) if worker != longest && self.front(worker).is_some() => {
                let overtaken = self.served.saturating_sub(first.due);
                let is_patient = overtaken < PATIENCE + self.len as u64
                    && first.waiter.seniority.since.elapsed() < PATIENT_FOR;
                Some(if is_patient { worker } else { longest })
            }
            _ => Some(longest),
        }
    }
}
