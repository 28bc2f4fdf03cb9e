//! One call of the store: what is sent, when it is sent again, and how long all of it may take.

use std::{future::Future, io, mem, time::Duration};

use redis::{Arg, Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, RedisResult, ServerErrorKind, cmd};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::{
    connection::{Connection, Live, Place},
    lazy::Lease,
};

/// Before a node is asked again that had sent the call elsewhere: each time twice as long.
const PAUSES: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(80)];

/// Who was not answered for such a part of the time-out counts as one who was not answered at all.
pub(crate) const LONG: u32 = 4;

pub(crate) struct Call<'a> {
    connection: &'a Connection,
    timeout: Duration,
    deadline: Instant,
    place: Place,
}

/// One command, or several in one round trip.
pub(crate) trait Commands<T>: Sync {
    fn run(&self, live: &mut Live) -> impl Future<Output = RedisResult<T>> + Send;

    /// What it is about, if that is one key.
    fn key(&self) -> Option<&[u8]>;
}

impl<'a> Call<'a> {
    pub(crate) fn new(connection: &'a Connection, timeout: Duration) -> Self {
        let (now, never) = (Instant::now(), Duration::from_secs(30 * 365 * 86_400));
        let timeout = timeout.min(never);
        Self { connection, timeout, deadline: now + timeout, place: Place::OfKey }
    }

    pub(crate) fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }

    /// Where the keys are.
    pub(crate) async fn places(&self) -> RedisResult<Vec<Place>> {
        self.in_time(self.connection.places(self.timeout)).await
    }

    async fn in_time<T>(&self, answer: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
        timeout_at(self.deadline, answer).await.unwrap_or_else(|_| Err(late()))
    }

    /// For commands that may be done twice: sent again when the connection broke, so that an idle one that the server had
    /// closed costs nobody an error.
    pub(crate) async fn send<T>(&self, commands: &impl Commands<T>) -> RedisResult<T> {
        match self.send_once(commands).await {
            Err(error) if broke(&error) => self.send_once(commands).await,
            answer => answer,
        }
    }

    /// Sent again only when the server says that it did not do it.
    pub(crate) async fn send_once<T>(&self, commands: &impl Commands<T>) -> RedisResult<T> {
        let (mut left_a_replica, mut pause) = (false, Duration::ZERO);
        let mut place = self.place.clone();
        loop {
            let begun = Instant::now();
            let error = match self.attempt(commands, &place).await {
                Err(error) => error,
                answer => return answer,
            };
            if is_replica(&error) && !left_a_replica {
                left_a_replica = true;
                self.connection.leaves(begun, self.deadline).await;
                continue;
            }
            place = match self.connection.redirected(&error, self.timeout) {
                Some(place) if Instant::now() + pause < self.deadline => place,
                _ => return Err(error),
            };
            // While a slot moves one node may send it to the other, and that one back.
            if !pause.is_zero() {
                sleep(pause).await;
            }
            pause = (2 * pause).clamp(PAUSES[0], PAUSES[1]);
        }
    }

    async fn attempt<T>(&self, commands: &impl Commands<T>, place: &Place) -> RedisResult<T> {
        let (mut live, lease) = self.lease_of_now(place, commands.key()).await?;
        let answer = self.waiting(&lease, self.run(&mut live, commands)).await;
        match &answer {
            Ok(_) => lease.hears(),
            Err(error) => {
                if !(error.is_timeout() || error.is_connection_dropped()) {
                    lease.hears();
                }
                self.report(&lease, error);
            }
        }
        answer
    }

    async fn run<T>(&self, live: &mut Live, commands: &impl Commands<T>) -> RedisResult<T> {
        self.in_time(commands.run(live)).await
    }

    /// As `send`, and the next time over the same connection; none is left where it broke. `key`: one that may be asked for.
    pub(crate) async fn send_on<T>(
        &self,
        on: &mut Option<Live>,
        key: &[u8],
        commands: &impl Commands<T>,
    ) -> RedisResult<T> {
        let is_over = |error: &RedisError| error.is_timeout() || error.is_unrecoverable_error();
        if let Some(mut live) = on.take() {
            let answer = self.run(&mut live, commands).await;
            if !answer.as_ref().is_err_and(is_over) {
                *on = Some(live);
            }
            return answer;
        }
        for is_last in [false, true] {
            let (mut live, lease) = self.lease_of_now(&self.place, Some(key)).await?;
            let answer = self.run(&mut live, commands).await;
            match &answer {
                Ok(_) => {
                    lease.hears();
                    *on = Some(live);
                }
                Err(error) => self.report(&lease, error),
            }
            if is_last || !answer.as_ref().is_err_and(broke) {
                return answer;
            }
        }
        Err(io::Error::from(io::ErrorKind::BrokenPipe).into())
    }

    async fn lease(&self, place: &Place, key: Option<&[u8]>) -> RedisResult<(Live, Lease<'_>)> {
        self.in_time(self.connection.lease(place, key, self.timeout)).await
    }

    /// One that was idle is asked whether it is still there.
    async fn lease_of_now(&self, place: &Place, key: Option<&[u8]>) -> RedisResult<(Live, Lease<'_>)> {
        let (mut live, mut lease) = self.lease(place, key).await?;
        if lease.is_idle()
            && let Some(key) = key
        {
            match self.waiting(&lease, self.is_there(&mut live, key)).await {
                Ok(()) => lease.hears(),
                Err(error) => {
                    self.report(&lease, &error);
                    (live, lease) = self.lease(place, Some(key)).await?;
                }
            }
        }
        Ok((live, lease))
    }

    async fn waiting<T>(&self, lease: &Lease<'_>, answer: impl Future<Output = T>) -> T {
        lease.asks();
        let waits = Waits { call: self, lease, begun: Instant::now() };
        let answer = answer.await;
        mem::forget(waits);
        answer
    }

    fn report(&self, lease: &Lease<'_>, error: &RedisError) {
        lease.report(error, self.timeout);
        self.connection.doubts(error, lease, self.timeout);
    }

    /// An error: it is not, or says nothing. A right that every `get` needs.
    async fn is_there(&self, live: &mut Live, key: &[u8]) -> RedisResult<()> {
        let look = async { cmd("PTTL").arg(key).query_async::<i64>(live).await };
        match timeout(self.timeout / LONG, look).await.map_err(|_| late())? {
            Err(error) if error.is_connection_dropped() => Err(error),
            _ => Ok(()),
        }
    }
}

/// A client that leaves drops its call. Where all of them leave before the time-out, a connection that went silent would never
/// be told from one that is slow.
struct Waits<'a> {
    call: &'a Call<'a>,
    lease: &'a Lease<'a>,
    begun: Instant,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        // Its own, or since somebody asked first: each may leave sooner.
        if self.begun.elapsed().max(self.lease.is_silent_for()) >= self.call.timeout / LONG {
            self.call.report(self.lease, &io::Error::from(io::ErrorKind::TimedOut).into());
        }
    }
}

impl<T: FromRedisValue> Commands<T> for Cmd {
    async fn run(&self, live: &mut Live) -> RedisResult<T> {
        self.query_async(live).await
    }

    fn key(&self) -> Option<&[u8]> {
        let mut words = self.args_iter().map(|word| if let Arg::Simple(word) = word { word } else { b"" });
        // A script and the number of keys come before them.
        let others = if words.next()?.starts_with(b"EVAL") { 2 } else { 0 };
        words.nth(others)
    }
}

impl<T: FromRedisValue> Commands<T> for Pipeline {
    async fn run(&self, live: &mut Live) -> RedisResult<T> {
        self.query_async(live).await
    }

    fn key(&self) -> Option<&[u8]> {
        self.cmd_iter().next().and_then(<Cmd as Commands<T>>::key)
    }
}

/// Whether the connection was lost after it had been there. What was under way is done or not.
pub(crate) fn broke(error: &RedisError) -> bool {
    error.is_connection_dropped() && !error.is_connection_refusal()
}

/// Whether the master that we were connected to has been made a replica.
pub(crate) fn is_replica(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

pub(crate) fn late() -> RedisError {
    io::Error::from(io::ErrorKind::TimedOut).into()
}
