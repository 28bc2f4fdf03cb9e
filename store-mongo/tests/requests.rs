//! What a request costs, counted by the driver's command monitoring.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a test that cannot go on stops"
)]

mod common;

use std::{
    process::ExitCode,
    sync::{Arc, Mutex},
    time::Duration,
};

use common::{DATABASE, mongodb_url, until};
use mongodb::{
    Client, Collection,
    bson::{DateTime, Document, doc},
    event::{EventHandler, command::CommandEvent},
    options::ClientOptions,
};
use session_core::{AdminStore, CookieOptions, Options, RequestInfo, Secure, SessionHandle, Sessions, Sid};
use session_testkit::run;
use store_mongo::{AutoRemove, Kruptein, MongoOptions, MongoStore, mongodb};
use test_support::tests;

fn main() -> ExitCode {
    tests! {
        needs mongodb_url =>
            a_request_costs_no_more_round_trips_than_it_must,
            in_the_express_profile_a_read_is_a_read_and_a_touch,
            the_index_is_made_once_and_keeps_nobody_waiting;
    }
    .run()
}

type Commands = Arc<Mutex<Vec<String>>>;

struct App {
    collection: Collection<Document>,
    commands: Commands,
    sessions: Sessions,
}

/// A client that notes its commands.
async fn counted(url: &str) -> (Collection<Document>, Commands) {
    let commands = Commands::default();
    let mut options = ClientOptions::parse(url).await.unwrap();
    let noted = Arc::clone(&commands);
    options.command_event_handler = Some(EventHandler::callback(move |event| {
        if let CommandEvent::Started(started) = event {
            noted.lock().unwrap().push(started.command_name);
        }
    }));
    let client = Client::with_options(options).unwrap();
    (client.database(DATABASE).collection(&format!("test_{}", Sid::random().as_str())), commands)
}

impl App {
    async fn new(url: &str, options: impl FnOnce(MongoOptions) -> MongoOptions, profile: Options) -> Self {
        let (collection, commands) = counted(url).await;
        let store = options(common::quiet(&collection)).build().unwrap();
        // The first use of all looks at the collection.
        store.length().await.unwrap();
        assert_eq!(std::mem::take(&mut *commands.lock().unwrap()), ["listCollections", "aggregate"]);
        let cookie = CookieOptions::new().max_age(Duration::from_secs(3_600)).secure(Secure::Never);
        let sessions = profile.name("sid").cookie(cookie).store(store).build().unwrap();
        Self { collection, commands, sessions }
    }

    fn noted(&self) -> Vec<String> {
        std::mem::take(&mut *self.commands.lock().unwrap())
    }

    /// A request with this cookie; answers the commands that it cost, and the cookie that it set.
    async fn request(
        &self,
        cookie: Option<&str>,
        handler: impl AsyncFnOnce(SessionHandle),
    ) -> (Vec<String>, Option<String>) {
        self.noted();
        let exchange = self.sessions.exchange();
        let each = |visit: &mut dyn FnMut(&str, &[u8])| {
            cookie.iter().for_each(|cookie| visit("cookie", cookie.as_bytes()));
        };
        let asked = exchange.session(&RequestInfo::new("/", false, &each));
        handler(asked.await.unwrap().unwrap()).await;
        let set_cookie = exchange.end().await.unwrap().pop();
        let name_and_value = |header: String| header.split(';').next().unwrap().to_owned();
        (self.noted(), set_cookie.map(name_and_value))
    }

    async fn login(&self) -> String {
        let (_, cookie) = self.request(None, async |session| session.insert("user", "tj").unwrap()).await;
        cookie.unwrap()
    }

    /// Most of the lifetime has passed.
    async fn age(&self) {
        let soon = DateTime::from_millis(DateTime::now().timestamp_millis() + 600_000);
        let aged = doc! { "$set": { "expires": soon, "lastModified": DateTime::from_millis(0) } };
        self.collection.update_many(doc! {}, aged).await.unwrap();
    }
}

async fn read(session: SessionHandle) {
    assert_eq!(session.get::<String>("user").unwrap().unwrap(), "tj");
}

async fn costs(app: &App) {
    let (commands, cookie) = app.request(None, async |_| {}).await;
    assert_eq!((commands.len(), cookie), (0, None), "a visitor without data");
    let (commands, _) = app.request(None, async |session| session.insert("user", "tj").unwrap()).await;
    assert_eq!(commands, ["update"], "new");

    let cookie = app.login().await;
    assert_eq!(app.request(Some(&cookie), read).await.0, ["find"], "read");
    app.age().await;
    assert_eq!(app.request(Some(&cookie), read).await.0, ["find", "update"], "read, when a touch is due");
    assert_eq!(app.request(Some(&cookie), read).await.0, ["find"], "it was moved");

    let write = async |session: SessionHandle| session.insert("views", 1).unwrap();
    assert_eq!(app.request(Some(&cookie), write).await.0, ["find", "update"], "write");
    let update = async |session: SessionHandle| {
        session.update("views", |views: Option<u64>| views.unwrap_or(0) + 1).await.unwrap();
    };
    assert_eq!(app.request(Some(&cookie), update).await.0, ["find", "update"], "update");
    let same = async |session: SessionHandle| session.insert("user", "tj").unwrap();
    assert_eq!(app.request(Some(&cookie), same).await.0, ["find"], "what was written is what was there");

    let logout = async |session: SessionHandle| session.destroy().await.unwrap();
    assert_eq!(app.request(Some(&cookie), logout).await.0, ["find", "delete"], "logout");
    assert_eq!(app.request(Some(&cookie), async |_| {}).await.0, ["find"], "a stale cookie");
}

fn a_request_costs_no_more_round_trips_than_it_must(url: String) {
    run(async {
        let profile = || Options::new("keyboard cat");
        costs(&App::new(&url, |options| options, profile()).await).await;
        costs(&App::new(&url, |options| options.stringify(false), profile()).await).await;
        costs(&App::new(&url, |options| options.touch_after(Duration::from_secs(60)), profile()).await).await;
        costs(&App::new(&url, |options| options.crypto(Kruptein::new("squirrel")), profile()).await).await;
    });
}

/// The express profile touches with every request, as Express does; connect-mongo then skips the round trip as well.
fn in_the_express_profile_a_read_is_a_read_and_a_touch(url: String) {
    run(async {
        let profile = Options::express("keyboard cat").resave(false).save_uninitialized(false);
        let app = App::new(&url, |options| options, profile).await;
        let cookie = app.login().await;
        assert_eq!(app.request(Some(&cookie), read).await.0, ["find", "update"]);
    });
}

fn the_index_is_made_once_and_keeps_nobody_waiting(url: String) {
    run(async {
        let (collection, commands) = counted(&url).await;
        let store = MongoStore::new(collection.clone());
        let sid = common::put(&store, &common::record("")).await;
        for _ in 0..20 {
            session_core::Store::get(&store, &sid).await.unwrap();
        }
        let made = || commands.lock().unwrap().iter().filter(|name| *name == "createIndexes").count();
        until(async || made() == 1).await;
        until(async || {
            collection.list_index_names().await.is_ok_and(|names| names.contains(&"expires_1".into()))
        })
        .await;
        assert_eq!(made(), 1);
        let (collection, commands) = counted(&url).await;
        let store = MongoOptions::new(collection).auto_remove(AutoRemove::Disabled).build().unwrap();
        common::put(&store, &common::record("")).await;
        common::put(&store, &common::record("")).await;
        assert_eq!(*commands.lock().unwrap(), ["listCollections", "update", "update"]);
    });
}
