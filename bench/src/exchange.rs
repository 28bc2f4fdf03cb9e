use session_core::{Error, Options, RequestInfo, SessionHandle, Sessions};

use crate::{
    Asks, now,
    samples::{self, HEADERS, SECRET},
};

/// A visitor of the core, without a framework around it.
#[derive(Debug)]
pub struct Visitor {
    sessions: Sessions,
    known: String,
    unknown: String,
}

impl Visitor {
    /// Visits once, for the cookie.
    ///
    /// # Panics
    /// The options do not work, or a visit fails.
    #[must_use]
    pub fn of(options: Options) -> Self {
        let sessions = options.build().expect("options that work");
        let mut visitor = Self { sessions, known: String::new(), unknown: samples::cookie_header("none=0") };
        let sent = visitor.visit(Asks::New).expect("a session").pop().expect("a cookie");
        visitor.known = samples::cookie_header(sent.split(';').next().unwrap_or_default());
        visitor
    }

    /// Of the new profile.
    #[must_use]
    pub fn new_profile() -> Self {
        Self::of(Options::new(SECRET))
    }

    /// The `Cookie` header of every request but a new visitor's.
    #[must_use]
    pub fn cookie_header(&self) -> &str {
        &self.known
    }

    /// One exchange; answers the cookies to send.
    ///
    /// # Errors
    /// Those of the session.
    pub fn visit(&self, asks: Asks) -> Result<Vec<String>, Error> {
        let header = if asks == Asks::New { &self.unknown } else { &self.known };
        let handler = async |session: SessionHandle| match asks {
            Asks::Nothing => Ok(()),
            Asks::Read => session.get::<u32>("views").map(drop),
            Asks::Write => {
                let views = session.get::<u32>("views")?.unwrap_or_default();
                session.insert("views", views + 1)
            }
            Asks::New => {
                session.insert("views", 1)?;
                session.insert("user", "u123456")
            }
        };
        self.exchange(header, (asks != Asks::Nothing).then_some(handler))
    }

    /// One exchange with a handler that asks for the session, or without one.
    ///
    /// # Errors
    /// Those of the handler and of the session.
    pub fn exchange(
        &self,
        cookie_header: &str,
        handler: Option<impl AsyncFnOnce(SessionHandle) -> Result<(), Error>>,
    ) -> Result<Vec<String>, Error> {
        let each = |visit: &mut dyn FnMut(&str, &[u8])| {
            HEADERS.iter().for_each(|(name, value)| visit(name, value.as_bytes()));
            visit("cookie", cookie_header.as_bytes());
        };
        let request = RequestInfo::new("/", false, &each);
        let exchange = self.sessions.exchange();
        now(async {
            if self.sessions.reads_on_arrival() {
                exchange.session(&request).await?;
            }
            if let Some(handler) = handler
                && let Some(session) = exchange.session(&request).await?
            {
                handler(session).await?;
            }
            Ok(exchange.end().await?)
        })
    }
}
