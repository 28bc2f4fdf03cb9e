//! One application for all three adapters: what a test says of HTTP, it says of each.

mod actix;
mod axum;
mod rocket;
mod tls;

use std::{ops::Deref, sync::Arc};

use express_session::{Error, Options, SessionHandle};
use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, LocalBoxFuture},
    stream::{self, BoxStream},
};
use session_testkit::{Request, Response};
use tokio::sync::OnceCell;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Adapter {
    Axum,
    Actix,
    Rocket,
}

/// Makes tests of functions of an adapter: `name::axum`, `name::actix` and `name::rocket`.
macro_rules! on_each_adapter {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            use crate::adapters::Adapter;

            #[test]
            fn axum() {
                session_testkit::run(super::$name(Adapter::Axum));
            }

            #[test]
            fn actix() {
                session_testkit::run(super::$name(Adapter::Actix));
            }

            #[test]
            fn rocket() {
                session_testkit::run(super::$name(Adapter::Rocket));
            }
        })+
    };
}
pub(crate) use on_each_adapter;

/// What a handler gets.
pub(crate) struct Visit {
    pub(crate) method: String,
    /// As the framework shows it to the handler: below a mount, some take its path off.
    pub(crate) path: String,
    /// None outside the cookie's path.
    pub(crate) session: Option<SessionHandle>,
}

/// The session of a visit that has one.
impl Deref for Visit {
    type Target = SessionHandle;

    fn deref(&self) -> &SessionHandle {
        self.session.as_ref().unwrap()
    }
}

/// What a handler answers.
pub(crate) type Reply<P = String> = Result<P, Error>;

/// A response, before a framework makes it its own.
pub(crate) struct Page {
    status: u16,
    headers: Vec<(&'static str, &'static str)>,
    body: Body,
}

enum Body {
    Whole(String),
    Parts(BoxStream<'static, String>),
}

impl Page {
    fn new(body: Body) -> Self {
        Self { status: 200, headers: Vec::new(), body }
    }

    /// A body that is made while it is sent.
    pub(crate) fn parts<I>(parts: I) -> Self
    where
        I: IntoIterator<Item = &'static str>,
        I::IntoIter: Send + 'static,
    {
        Self::new(Body::Parts(stream::iter(parts).map(String::from).boxed()))
    }

    pub(crate) fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl<T: Into<String>> From<T> for Page {
    fn from(text: T) -> Self {
        Self::new(Body::Whole(text.into()))
    }
}

type Handler = Arc<dyn Fn(Visit) -> BoxFuture<'static, Reply<Page>> + Send + Sync>;

/// Where a middleware of the application's own stands, which makes every body upper case.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shout {
    InsideOfTheSession,
    OutsideOfTheSession,
}

/// What is served.
#[derive(Clone)]
struct Site {
    options: Options,
    handler: Handler,
    /// The sessions and the handler are below this path.
    mounted_at: &'static str,
    /// A second time, with the same options, outside of the first.
    twice: bool,
    shout: Option<Shout>,
}

/// An application with one handler for every path and method, served from its first request on.
pub(crate) struct App {
    adapter: Adapter,
    site: Site,
    over_tls: bool,
    served: OnceCell<Served>,
}

/// What takes requests, in process or over a socket.
type Served = Box<dyn Fn(Request) -> LocalBoxFuture<'static, Response>>;

pub(crate) fn app<H, F, P>(adapter: Adapter, options: Options, handler: H) -> App
where
    H: Fn(Visit) -> F + Send + Sync + 'static,
    F: Future<Output = Reply<P>> + Send + 'static,
    P: Into<Page>,
{
    let handler: Handler = Arc::new(move |visit| handler(visit).map(|reply| reply.map(P::into)).boxed());
    let site = Site { options, handler, mounted_at: "", twice: false, shout: None };
    App { adapter, site, over_tls: false, served: OnceCell::new() }
}

impl App {
    pub(crate) fn mounted_at(self, path: &'static str) -> Self {
        Self { site: Site { mounted_at: path, ..self.site }, ..self }
    }

    /// With the sessions' middleware below another one.
    pub(crate) fn twice(self) -> Self {
        Self { site: Site { twice: true, ..self.site }, ..self }
    }

    pub(crate) fn shouting(self, shout: Shout) -> Self {
        Self { site: Site { shout: Some(shout), ..self.site }, ..self }
    }

    /// On a socket, behind TLS that the framework's own server ends.
    pub(crate) fn over_tls(self) -> Self {
        Self { over_tls: true, ..self }
    }

    pub(crate) async fn send(&self, request: Request) -> Response {
        let served = self.served.get_or_init(|| async {
            let site = self.site.clone();
            match (self.adapter, self.over_tls) {
                (Adapter::Axum, false) => axum::serve(site),
                (Adapter::Axum, true) => axum::serve_tls(site).await,
                (Adapter::Actix, false) => actix::serve(site).await,
                (Adapter::Actix, true) => actix::serve_tls(site),
                (Adapter::Rocket, false) => rocket::serve(site).await,
                (Adapter::Rocket, true) => rocket::serve_tls(site).await,
            }
        });
        served.await(request).await
    }
}
