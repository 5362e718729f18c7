//! Whether a worker gets on with its work.

use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;

/// A worker that takes longer to come to its next task hangs.
pub(super) const LIMIT: Duration = Duration::from_secs(5);

/// Asks a worker's runtime to run a task. There is never more than one such task.
#[derive(Debug)]
pub(super) struct Pulse {
    runtime: Handle,
    beats: watch::Sender<Beats>,
}

#[derive(Debug, Default)]
struct Beats {
    asked: u64,
    answered: u64,
}

impl Pulse {
    pub(super) fn new(runtime: Handle) -> Arc<Self> {
        Arc::new(Self {
            runtime,
            beats: watch::Sender::default(),
        })
    }

    /// Whether the worker runs a task within this time.
    pub(super) async fn beats_within(self: &Arc<Self>, limit: Duration) -> bool {
        let mut beats = self.beats.subscribe();
        let (mut awaited, mut is_first) = (0, false);
        self.beats.send_modify(|beats| {
            is_first = beats.asked == beats.answered;
            if is_first {
                beats.asked += 1;
            }
            awaited = beats.asked;
        });
        if is_first {
            let pulse = self.clone();
            self.runtime.spawn(async move {
                pulse
                    .beats
                    .send_modify(|beats| beats.answered = beats.asked);
            });
        }
        let answered = beats.wait_for(|beats| beats.answered >= awaited);
        timeout(limit, answered)
            .await
            .is_ok_and(|beat| beat.is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use tokio::runtime::Builder;

    #[tokio::test]
    async fn a_worker_that_hangs_is_found_and_asked_once_until_it_goes_on() {
        let runtime = Builder::new_current_thread().build().unwrap();
        let pulse = Pulse::new(runtime.handle().clone());
        let (hang, hangs) = mpsc::channel::<()>();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let worker = std::thread::spawn(move || {
            runtime.block_on(async {
                let _ = hangs.recv();
                let _ = ended.await;
            });
        });
        let short = Duration::from_millis(20);
        assert!(!pulse.beats_within(short).await);
        assert!(!pulse.beats_within(short).await);
        assert_eq!(pulse.beats.borrow().asked, 1);
        hang.send(()).unwrap();
        assert!(pulse.beats_within(Duration::from_secs(60)).await);
        assert!(pulse.beats_within(Duration::from_secs(60)).await);
        end.send(()).unwrap();
        worker.join().unwrap();
        // Its tasks are dropped.
        assert!(!pulse.beats_within(short).await);
    }
}
