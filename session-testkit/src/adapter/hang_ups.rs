//! Clients that hang up, over sockets: in the middle of a handler, of a read, of a write.

use std::{
    collections::HashMap,
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use session_core::{AdminStore, MemoryStore, OnDisconnect, Options, Record, Sid, Store};
use tokio::sync::oneshot;

use super::{Layers, app, text};
use crate::{
    browser::{App, Browser, Request},
    stores::GatedStore,
    tasks::Tasks,
};

/// Where a handler waits for the test: the last segment of its path is `wait-` and this.
pub(super) struct Gate(pub(super) String);

static WAITING: LazyLock<Mutex<HashMap<String, Waiting>>> = LazyLock::new(Mutex::default);

struct Waiting {
    open: oneshot::Sender<()>,
    /// In which the handler waits.
    tasks: Arc<Tasks>,
}

impl Gate {
    fn new() -> Self {
        static GATES: AtomicU64 = AtomicU64::new(0);
        Self(GATES.fetch_add(1, Ordering::Relaxed).to_string())
    }

    pub(super) async fn wait(&self) {
        let all = || WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        let ((open, opened), tasks) = (oneshot::channel(), Arc::<Tasks>::default());
        all().insert(self.0.clone(), Waiting { open, tasks: Arc::clone(&tasks) });
        _ = tasks.with(opened).await;
    }

    fn look<T>(&self, at: impl FnOnce(&Waiting) -> T) -> Option<T> {
        WAITING.lock().unwrap_or_else(PoisonError::into_inner).get(&self.0).map(at)
    }

    /// A handler is here; one that was dropped is not.
    fn is_waited_at(&self) -> bool {
        self.look(|waiting| !waiting.open.is_closed()).unwrap_or_default()
    }

    /// It waits here in another task than the one in which it came.
    fn has_moved(&self) -> bool {
        self.look(|waiting| waiting.tasks.have_changed()).unwrap_or_default()
    }

    fn open(&self) {
        let waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
        _ = waiting.map(|waiting| waiting.open.send(()));
    }
}

/// Until it is so.
pub(super) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !is_so().await {
        assert!(started.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Sends it, and goes as soon as it is so.
async fn hang_up(app: &impl App, request: Request, what: &str, is_so: impl AsyncFnMut() -> bool) {
    let mut response = pin!(app.send(request));
    let mut is_so = pin!(until(what, is_so));
    poll_fn(|context| {
        assert!(response.as_mut().poll(context).is_pending(), "it was to wait");
        is_so.as_mut().poll(context)
    })
    .await;
}

pub(super) async fn stored(store: &impl Store, sid: &Sid, key: &str) -> Option<String> {
    store.get(sid).await.unwrap().and_then(|stored| stored.record.data.get(key).map(Into::into))
}

/// Both profiles where a handler outlives its client.
fn finishing() -> [Options; 2] {
    [Options::express("keyboard cat"), Options::new("keyboard cat").on_disconnect(OnDisconnect::Finish)]
        .map(|options| options.name("sid"))
}

/// And where the server drops it.
fn cancelling() -> [Options; 2] {
    [Options::express("keyboard cat").on_disconnect(OnDisconnect::Cancel), Options::new("keyboard cat")]
        .map(|options| options.name("sid"))
}

/// Who has a session already, and its id.
pub(super) async fn known(app: &impl App) -> (Browser, Sid) {
    let mut browser = Browser::new();
    text(&mut browser, app, "/count").await;
    let sid = text(&mut browser, app, "/id").await;
    (browser, sid.into())
}

/// Goes as soon as the handler waits, and answers where it does.
async fn hang_up_in_handler(app: &impl App, browser: &Browser, route: &str) -> Gate {
    let gate = Gate::new();
    let request = browser.request(&format!("/{route}-{}", gate.0));
    hang_up(app, request, "the handler began", async || gate.is_waited_at()).await;
    gate
}

/// Others come after the one who has left, and are served: by then the server has seen that nobody is there any more.
async fn others_are_served(app: &impl App) {
    for _ in 0..32 {
        assert_eq!(app.send(Request::get("/none")).await.status, 200);
    }
}

/// Where another task is to go on, until it does.
async fn left_alone(app: &impl App, store: &GatedStore<Arc<MemoryStore>>, moves: bool) {
    if moves {
        until("another task goes on", async || store.has_moved()).await;
    } else {
        store.let_others_pass();
        others_are_served(app).await;
    }
}

async fn hung_up_in_read<A: App, F: Future<Output = A>>(
    open: impl Fn(Layers) -> F,
    options: Options,
    moves: bool,
) {
    let memory = Arc::new(MemoryStore::new());
    let (browser, sid) = known(&app(&open, options.clone().store(Arc::clone(&memory))).await).await;
    let store = GatedStore::new_for_reads(Arc::clone(&memory));
    let app = app(&open, options.store(Arc::clone(&store))).await;
    hang_up(&app, browser.request("/count"), "it is read", async || store.is_waited_at()).await;
    left_alone(&app, &store, moves).await;
    store.open();
    until("the handler ran", async || stored(&memory, &sid, "count").await.as_deref() == Some("2")).await;
}

async fn hung_up_in_save<A: App, F: Future<Output = A>>(
    open: impl Fn(Layers) -> F,
    options: Options,
    moves: bool,
) {
    let memory = Arc::new(MemoryStore::new());
    let (browser, sid) = known(&app(&open, options.clone().store(Arc::clone(&memory))).await).await;
    // At the end of the request, and by what is acknowledged in it.
    for (path, key, value) in [("/count", "count", "2"), ("/add", "sum", "1"), ("/login", "user", "\"tj\"")] {
        let store = GatedStore::new(Arc::clone(&memory));
        let app = app(&open, options.clone().store(Arc::clone(&store))).await;
        hang_up(&app, browser.request(path), "it is saved", async || store.is_waited_at()).await;
        left_alone(&app, &store, moves).await;
        store.open();
        let is_done = async || match path {
            // It goes on under an id that nobody was told, as in Express.
            "/login" => {
                let mut held = Vec::new();
                let mut visit = |sid, record: Record| held.push((sid, record.data.get(key) == Some(value)));
                memory.all(&mut visit).await.unwrap();
                // Beside those of the others, which have no data.
                held.iter().all(|(other, _)| *other != sid) && held.iter().any(|(_, has_it)| *has_it)
            }
            _ => stored(&memory, &sid, key).await.as_deref() == Some(value),
        };
        until(path, is_done).await;
    }
}

contract! {
    async fn who_hangs_up_in_the_middle_of_a_handler_lets_it_finish(open) {
        for options in finishing() {
            let store = Arc::new(MemoryStore::new());
            let app = app(open, options.store(Arc::clone(&store))).await;
            let (mut browser, sid) = known(&app).await;
            let gate = hang_up_in_handler(&app, &browser, "wait").await;
            others_are_served(&app).await;
            assert!(gate.is_waited_at(), "the handler goes on");
            gate.open();
            until("what the handler did is saved", async || stored(&store, &sid, "user").await.is_some()).await;
            assert_eq!(text(&mut browser, &app, "/user").await, "patient");
            assert_eq!((text(&mut browser, &app, "/sum").await, text(&mut browser, &app, "/count").await), ("1".into(), "2".into()));
        }
    }

    /// Where the server drops what nobody waits for; also of two side by side, of which the outer one was not asked for (`wait`), or
    /// both were.
    async fn what_is_left_of_a_handler_goes_on_in_a_task_of_its_own(open) {
        for (options, route) in finishing().into_iter().flat_map(|options| ["wait", "both/wait"].map(|route| (options.clone(), route))) {
            let store = Arc::new(MemoryStore::new());
            let of = |name: &str| options.clone().name(name).store(Arc::clone(&store)).build().unwrap();
            let app = open(Layers { nested: vec![of("sid")], second: Some(of("second")) }).await;
            let mut browser = Browser::new();
            text(&mut browser, &app, "/both/count").await;
            let ids = text(&mut browser, &app, "/both/id").await;
            let gate = hang_up_in_handler(&app, &browser, route).await;
            until("another task goes on", async || gate.has_moved()).await;
            gate.open();
            for sid in ids.split(' ').take(if route == "wait" { 1 } else { 2 }) {
                until(route, async || stored(&store, &sid.into(), "user").await.is_some()).await;
            }
        }
    }

    /// Where the server drops what nobody waits for.
    async fn what_is_left_of_a_read_goes_on_in_a_task_of_its_own(open) {
        for options in finishing() {
            hung_up_in_read(open, options, true).await;
        }
    }

    /// Where the server drops what nobody waits for.
    async fn what_is_left_of_a_save_goes_on_in_a_task_of_its_own(open) {
        for options in finishing() {
            hung_up_in_save(open, options, true).await;
        }
    }

    /// Where it does not: whatever was chosen.
    async fn where_the_server_drops_nothing_every_handler_finishes(open) {
        for options in cancelling() {
            let store = Arc::new(MemoryStore::new());
            let app = app(open, options.store(Arc::clone(&store))).await;
            let (browser, sid) = known(&app).await;
            let gate = hang_up_in_handler(&app, &browser, "wait").await;
            others_are_served(&app).await;
            gate.open();
            until("what the handler did is saved", async || stored(&store, &sid, "user").await.is_some()).await;
        }
    }

    /// Where the server drops what nobody waits for: nothing runs after the read, and a write is done or not.
    async fn who_hangs_up_while_the_session_is_read_or_saved_cancels_the_request(open) {
        for (options, reads) in cancelling().into_iter().flat_map(|options| [true, false].map(|reads| (options.clone(), reads))) {
            let memory = Arc::new(MemoryStore::new());
            let (mut browser, sid) = known(&app(open, options.clone().store(Arc::clone(&memory))).await).await;
            let store = if reads { GatedStore::new_for_reads(Arc::clone(&memory)) } else { GatedStore::new(Arc::clone(&memory)) };
            let app = app(open, options.store(Arc::clone(&store))).await;
            hang_up(&app, browser.request("/count"), "the store is busy", async || store.is_waited_at()).await;
            until("the call is dropped", async || !store.is_waited_at()).await;
            store.open();
            assert_eq!(stored(&memory, &sid, "count").await.as_deref(), Some("1"));
            assert_eq!(text(&mut browser, &app, "/count").await, "2");
        }
    }

    /// Where the server drops what nobody waits for: nobody has asked for the session, which no handler would miss.
    async fn who_hangs_up_before_the_session_is_asked_for_ends_the_request(open) {
        let options = Options::new("keyboard cat").on_disconnect(OnDisconnect::Finish);
        let app = app(open, options.store(MemoryStore::new())).await;
        let gate = hang_up_in_handler(&app, &Browser::new(), "unasked/wait").await;
        until("the handler is dropped", async || !gate.is_waited_at()).await;
    }

    /// Where the server drops what nobody waits for.
    async fn who_hangs_up_in_the_middle_of_a_handler_cancels_it(open) {
        for options in cancelling() {
            let store = Arc::new(MemoryStore::new());
            let app = app(open, options.store(Arc::clone(&store))).await;
            let (mut browser, sid) = known(&app).await;
            let gate = hang_up_in_handler(&app, &browser, "wait").await;
            until("the handler is dropped", async || !gate.is_waited_at()).await;
            gate.open();
            // What was acknowledged is kept, and nothing else.
            assert_eq!(text(&mut browser, &app, "/sum").await, "1");
            assert_eq!(text(&mut browser, &app, "/user").await, "nobody");
            assert_eq!(stored(&store, &sid, "begun").await, None);
        }
    }

    async fn who_hangs_up_while_the_session_is_read_lets_the_handler_run(open) {
        for options in finishing() {
            hung_up_in_read(open, options, false).await;
        }
    }

    async fn who_hangs_up_while_the_session_is_saved_lets_it_be_saved(open) {
        for options in finishing() {
            hung_up_in_save(open, options, false).await;
        }
    }
}
