//! A session's life: with a server connection and without one, by turns.

use super::drain::is_health_check;
use super::end::End;
use super::engine::{self, Judged, Step};
use super::relay::Outcome;
use super::{Exchange, Leaving, Member, Order, Session};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

impl Session {
    /// Says goodbye to the client, once it has been served.
    pub async fn leave(&mut self, end: End) -> End {
        self.engine.registration.done();
        let client = &mut self.engine.client;
        // In the midst of a message an error would be taken for a part of it.
        if !client.torn
            && let Some(error) = end.to_client()
        {
            client.send_error(&error);
            self.engine.meter.errs(error.sqlstate);
        }
        match &end {
            End::Terminated | End::ClientGone(_) => {}
            _ => {
                let before = client.output.len();
                self.socket.close(&mut client.output).await;
                self.engine.meter.sent(before - client.output.len());
            }
        }
        end
    }

    /// Comes to another worker, on whose thread this is called. What belongs to a worker
    /// follows by an order: [`review`](Self::review) it.
    pub fn settle(&mut self, worker: usize) {
        // What fails here shows when it is used.
        let _ = self.socket.move_here();
        self.pool = self.pool.on_worker(worker);
        self.engine.meter.settle(worker);
        self.engine.registration.arrived(worker);
    }

    /// Asks what the session is to be told, and tells it.
    pub fn review(&self, decide: impl Fn(&Member<'_>) -> Option<Order>) {
        self.engine.registration.review(decide);
    }

    /// Whether the session is to go on with another worker, now that it holds nothing of
    /// this one.
    pub(super) fn moves(&self) -> Result<(), End> {
        match self.engine.registration.next_worker() {
            Some(worker) if matches!(self.leaving, Leaving::No) => Err(End::Moves(worker)),
            _ => Ok(()),
        }
    }

    /// Serves the client until it [leaves](Self::leave), or has to, or is to go on with
    /// another worker.
    pub async fn serve(&mut self) -> End {
        std::future::poll_fn(|cx| {
            self.engine.registration.listen(cx.waker());
            Poll::Ready(())
        })
        .await;
        loop {
            if let Err(end) = self.apply_command(false).and_then(|()| self.moves()) {
                return end;
            }
            if let Err(end) = self.without_server().await {
                return end;
            }
            // Boxed for as long as it lasts: a client that does nothing need not have room
            // for it, which most do at most times.
            if let Err(end) = Box::pin(self.with_server()).await {
                return end;
            }
        }
    }

    /// Answers what can be answered, until something needs a server connection.
    async fn without_server(&mut self) -> Result<(), End> {
        loop {
            let step = self.step()?;
            // Each wait in one and the same place, or the future has room for all.
            let rare: Pin<Box<dyn Future<Output = Result<(), End>> + Send + '_>> = match step {
                Step::NeedsServer => {
                    self.ends_after = self.is_draining();
                    return Ok(());
                }
                Step::Judge => Box::pin(self.judge_long()),
                Step::Interrupt => Box::pin(async {
                    self.interrupt().await;
                    Ok(())
                }),
                step => {
                    std::future::poll_fn(|cx| self.poll_step(step, cx)).await?;
                    continue;
                }
            };
            rare.await?;
        }
    }

    fn step(&mut self) -> Result<Step, End> {
        if self.is_draining() && is_health_check(self.engine.client.input.bytes()) {
            return Err(End::Stopped);
        }
        match self.engine.take_alone()? {
            Step::Terminate => Err(End::Terminated),
            step => Ok(step),
        }
    }

    /// Waits for answers to be taken by the client, or for the client.
    fn poll_step(&mut self, step: Step, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        match (step, &self.leaving) {
            (Step::Held, _) => self.poll_taken(cx),
            (_, Leaving::HalfClosed(_)) => {
                // Everything that it has sent is answered.
                let _ = ready!(self.socket.poll_flush(&mut self.engine.client.output, cx));
                Poll::Ready(Err(End::ClientGone(io::ErrorKind::UnexpectedEof.into())))
            }
            _ => self.poll_idle(cx),
        }
    }

    /// Interrupts another session, then tells the client that it is done.
    async fn interrupt(&mut self) {
        if let Some((interrupt, answer)) = self.engine.take_interrupt() {
            interrupt.deliver().await;
            self.engine.client.output.extend_from_slice(&answer);
        }
    }

    /// Cancels what the server runs for the client. Once the server has taken the request,
    /// it strikes nothing that is sent behind it.
    async fn cancel(&mut self, exchange: &mut Exchange) -> Result<(), End> {
        let cancelled = self.engine.registration.cancel();
        if !self.unless_ended(cancelled).await? {
            return Err(End::Failed(engine::not_cancelled()));
        }
        exchange.link.is_cancelled();
        Ok(())
    }

    /// Judges the statement at the buffer's head where it does not keep others
    /// waiting, once it is its turn.
    async fn judge_long(&mut self) -> Result<(), End> {
        let Some(len) = self.engine.long_statement().map(<[u8]>::len) else {
            return Ok(());
        };
        let tenant = self.engine.tenant.id.clone();
        let mut turn = std::pin::pin!(self.parsing.clone().turn(tenant, len));
        let ahead = self.engine.client.input.len();
        let turn = std::future::poll_fn(|cx| {
            if let Poll::Ready(turn) = turn.as_mut().poll(cx) {
                return Poll::Ready(Ok(turn));
            }
            if let Some(end) = self.ends_at_once() {
                return Poll::Ready(Err(end));
            }
            self.poll_left(ahead, cx).map(Err)
        })
        .await?;
        let sql = self.engine.long_statement().map(<[u8]>::to_vec);
        let (Some(turn), Some(sql)) = (turn, sql) else {
            return Ok(());
        };
        let guard = self.engine.guard.clone();
        let inspect = move || {
            let verdict = guard.inspect(&sql);
            // It lasts as long as the memory is needed, whether the client does
            // or not.
            drop((sql, turn));
            verdict
        };
        let verdict = tokio::task::spawn_blocking(inspect).await;
        // Without a verdict the statement is judged again, and never passes
        // without one.
        self.engine.judged = verdict.ok().map(Judged::Raw);
        Ok(())
    }

    /// Serves one transaction, or as long as the client keeps the connection.
    async fn with_server(&mut self) -> Result<(), End> {
        let Some(mut exchange) = self.begin().await? else {
            return Ok(());
        };
        loop {
            let outcome = std::future::poll_fn(|cx| self.poll_relay(&mut exchange, cx)).await;
            let next = match outcome {
                Outcome::Over => {
                    self.end_exchange(exchange).await?;
                    return match self.leaving {
                        Leaving::Terminated => Err(End::Terminated),
                        _ => Ok(()),
                    };
                }
                Outcome::Judge => Box::pin(self.judge_long()).await,
                Outcome::Interrupt => {
                    Box::pin(self.interrupt()).await;
                    Ok(())
                }
                Outcome::Cancel => Box::pin(self.cancel(&mut exchange)).await,
                Outcome::Renew => match Box::pin(self.renew(exchange)).await {
                    Ok(renewed) => {
                        exchange = renewed;
                        continue;
                    }
                    Err(end) => return Err(end),
                },
                Outcome::End(end) => Err(end),
            };
            if let Err(end) = next {
                self.abandon(exchange);
                return Err(end);
            }
        }
    }
}
