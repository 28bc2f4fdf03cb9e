//! The future of a request whose client may go.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use tracing::Span;

use crate::driver::exchange::{Exchange, within};

/// The future of a request and its response. Servers drop it when the client goes; if the session was asked for by then and
/// [`OnDisconnect::Finish`](crate::OnDisconnect::Finish) says so, it hands what is left of it to a task of its own. One that panicked
/// has nothing left.
///
/// ```
/// use session_core::{Lasting, Options};
///
/// let exchange = Options::express("keyboard cat").build()?.exchange();
/// let request = Box::pin(async { "the response" });
/// // An adapter gives its runtime's `spawn` here.
/// let request = Lasting::new(request, exchange, |rest| drop(rest));
/// # Ok::<(), session_core::OptionsError>(())
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct Lasting<F: ?Sized> {
    future: Option<Pin<Box<F>>>,
    exchange: Exchange,
    span: Span,
    spawn: fn(Rest<F>),
}

/// What is left of a request whose client has gone: to be awaited. It goes on within the tracing span in which the request began.
#[must_use = "futures do nothing unless polled"]
pub struct Rest<F: ?Sized> {
    future: Pin<Box<F>>,
    span: Span,
}

impl<F: Future + ?Sized> Future for Rest<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { future, span } = &mut *self;
        within(span, || future.as_mut().poll(context))
    }
}

impl<F: ?Sized> fmt::Debug for Rest<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest").finish_non_exhaustive()
    }
}

impl<F: Future + ?Sized> Lasting<F> {
    /// `spawn` is called when this is dropped half way, on the thread that does so, and must not panic.
    pub fn new(future: Pin<Box<F>>, exchange: Exchange, spawn: fn(Rest<F>)) -> Self {
        // Of the layers around; nobody else looks at it.
        let span = if exchange.may_outlive_client() { Span::current() } else { Span::none() };
        Self { future: Some(future), exchange, span, spawn }
    }
}

impl<F: Future + ?Sized> Future for Lasting<F> {
    type Output = F::Output;

    /// Pending for ever once it is over.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // Taken out while it is polled, so that one that panics is not there to be polled again.
        let Some(mut future) = self.future.take() else { return Poll::Pending };
        let polled = future.as_mut().poll(context);
        if polled.is_pending() {
            self.future = Some(future);
        }
        polled
    }
}

impl<F: ?Sized> Drop for Lasting<F> {
    fn drop(&mut self) {
        if let Some(future) = self.future.take()
            && self.exchange.outlives_client()
        {
            (self.spawn)(Rest { future, span: self.span.clone() });
        }
    }
}

impl<F: ?Sized> fmt::Debug for Lasting<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lasting").field("exchange", &self.exchange).finish_non_exhaustive()
    }
}
