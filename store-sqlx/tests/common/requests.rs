//! Requests, as an application would make them: what each costs the database.

use std::{future::Future, time::Duration};

use session_core::{CookieOptions, Options, RequestInfo, Secure, SessionHandle, Sessions, Store};

pub struct App<F> {
    sessions: Sessions,
    /// How many statements the database has executed.
    count: F,
}

impl<C: Future<Output = i64>, F: Fn() -> C> App<F> {
    pub fn new(store: impl Store, count: F) -> Self {
        let cookie = CookieOptions::new().max_age(Duration::from_secs(3_600)).secure(Secure::Never);
        let sessions = Options::new("keyboard cat").cookie(cookie).store(store).build().unwrap();
        Self { sessions, count }
    }

    /// A request with this cookie; answers how many statements it cost, and the cookie that it set.
    pub async fn request(
        &self,
        cookie: Option<&str>,
        handler: impl AsyncFnOnce(SessionHandle),
    ) -> (i64, Option<String>) {
        let before = (self.count)().await;
        let exchange = self.sessions.exchange();
        let each = |visit: &mut dyn FnMut(&str, &[u8])| {
            cookie.iter().for_each(|cookie| visit("cookie", cookie.as_bytes()));
        };
        let asked = exchange.session(&RequestInfo::new("/", false, &each));
        handler(asked.await.unwrap().unwrap()).await;
        let set_cookie = exchange.end().await.unwrap().pop();
        let name_and_value = |header: String| header.split(';').next().unwrap().to_owned();
        ((self.count)().await - before, set_cookie.map(name_and_value))
    }

    /// `age` lets most of the lifetime of every session pass.
    pub async fn a_request_costs_no_more_statements_than_it_must<A: Future>(&self, age: impl Fn() -> A) {
        let new = async |session: SessionHandle| session.insert("user", "tj").unwrap();
        // The first ever may create the table.
        self.request(None, new).await;
        assert_eq!(self.request(None, async |_| {}).await, (0, None), "a visitor without data");
        let (cost, cookie) = self.request(None, new).await;
        assert_eq!(cost, 1, "new");
        let cookie = cookie.unwrap();

        let read =
            async |session: SessionHandle| assert_eq!(session.get::<String>("user").unwrap().unwrap(), "tj");
        assert_eq!(self.request(Some(&cookie), read).await.0, 1, "read");
        age().await;
        assert_eq!(self.request(Some(&cookie), read).await.0, 2, "read, when a touch is due");
        assert_eq!(self.request(Some(&cookie), read).await.0, 1, "it was moved");

        let write = async |session: SessionHandle| session.insert("views", 1).unwrap();
        assert_eq!(self.request(Some(&cookie), write).await.0, 2, "write");
        let update = async |session: SessionHandle| {
            session.update("views", |views: Option<u64>| views.unwrap_or(0) + 1).await.unwrap();
        };
        assert_eq!(self.request(Some(&cookie), update).await.0, 2, "update");
        let twice = async |session: SessionHandle| {
            session.insert("views", 7).unwrap();
            session.save().await.unwrap();
            session.insert("views", 8).unwrap();
        };
        assert_eq!(self.request(Some(&cookie), twice).await.0, 3, "two writes need no second read");

        let logout = async |session: SessionHandle| session.destroy().await.unwrap();
        assert_eq!(self.request(Some(&cookie), logout).await.0, 2, "logout");
        assert_eq!(self.request(Some(&cookie), async |_| {}).await.0, 1, "a stale cookie");
    }
}
