//! Keys from secrets: slow on purpose, so done once, and away from the runtime's own threads.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, LazyLock, Mutex, PoisonError},
    thread,
};

use hmac::{EagerHash, Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha384, Sha512};
use tokio::sync::{OnceCell, Semaphore};
use zeroize::Zeroizing;

use super::Unread;

/// Of as many salts the keys are remembered: what Express writes has a new salt every time.
const REMEMBERED: usize = 1_024;

/// kruptein's scrypt: Node's defaults, N = 2^14.
const SCRYPT: (u8, u32, u32) = (14, 8, 1);

/// As many derivations at a time as there are processors: more would only take threads from others.
static DERIVING: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(thread::available_parallelism().map_or(1, usize::from)));

pub(crate) type Key = Arc<Zeroizing<Vec<u8>>>;

/// The hash under PBKDF2 and HMAC. Node: `hashing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hashing {
    /// `sha256`
    Sha256,
    /// `sha384`
    Sha384,
    /// `sha512`, connect-mongo's default.
    Sha512,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kdf {
    Pbkdf2(Hashing, u32),
    Scrypt,
}

/// A secret and the keys that were derived from it.
pub(crate) struct Keys {
    secret: Key,
    remembered: Mutex<Remembered>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Recipe {
    kdf: Kdf,
    length: usize,
    salt: Arc<[u8]>,
}

#[derive(Default)]
struct Remembered {
    keys: HashMap<Recipe, Arc<OnceCell<Key>>>,
    /// The oldest first.
    order: VecDeque<Recipe>,
}

impl Keys {
    pub(crate) fn new(secret: Vec<u8>) -> Self {
        Self { secret: Arc::new(Zeroizing::new(secret)), remembered: Mutex::default() }
    }

    pub(crate) fn secret(&self) -> &[u8] {
        &self.secret
    }

    /// Whoever asks for a key while it is being derived waits for that one.
    pub(crate) async fn derive(&self, kdf: Kdf, salt: &[u8], length: usize) -> Result<Key, Unread> {
        let recipe = Recipe { kdf, length, salt: salt.into() };
        let cell = self.remembered.lock().unwrap_or_else(PoisonError::into_inner).cell(&recipe);
        let secret = Arc::clone(&self.secret);
        let derive = async || {
            let _permit = DERIVING.acquire().await;
            tokio::task::spawn_blocking(move || recipe.derive(&secret)).await.map_err(|_| Unread::Interrupted)
        };
        cell.get_or_try_init(derive).await.cloned()
    }
}

impl Remembered {
    fn cell(&mut self, recipe: &Recipe) -> Arc<OnceCell<Key>> {
        if let Some(cell) = self.keys.get(recipe) {
            return Arc::clone(cell);
        }
        if self.order.len() >= REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
        self.order.push_back(recipe.clone());
        Arc::clone(self.keys.entry(recipe.clone()).or_default())
    }
}

impl Recipe {
    fn derive(&self, secret: &[u8]) -> Key {
        let mut key = Zeroizing::new(vec![0; self.length]);
        match self.kdf {
            Kdf::Pbkdf2(hashing, rounds) => hashing.pbkdf2(secret, &self.salt, rounds, &mut key),
            Kdf::Scrypt => {
                let (log_n, r, p) = SCRYPT;
                // Neither can fail: the parameters are constant, and a key is at most 32 bytes.
                if let Ok(params) = scrypt::Params::new(log_n, r, p) {
                    _ = scrypt::scrypt(secret, &self.salt, &params, &mut key);
                }
            }
        }
        Arc::new(key)
    }
}

impl Hashing {
    fn pbkdf2(self, secret: &[u8], salt: &[u8], rounds: u32, key: &mut [u8]) {
        match self {
            Self::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(secret, salt, rounds, key),
            Self::Sha384 => pbkdf2::pbkdf2_hmac::<Sha384>(secret, salt, rounds, key),
            Self::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>(secret, salt, rounds, key),
        }
    }

    pub(crate) fn hmac(self, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        match self {
            Self::Sha256 => keyed::<Sha256>(key, parts).map(|mac| mac.finalize().into_bytes().to_vec()),
            Self::Sha384 => keyed::<Sha384>(key, parts).map(|mac| mac.finalize().into_bytes().to_vec()),
            Self::Sha512 => keyed::<Sha512>(key, parts).map(|mac| mac.finalize().into_bytes().to_vec()),
        }
        .unwrap_or_default()
    }

    /// In constant time.
    pub(crate) fn verifies(self, key: &[u8], parts: &[&[u8]], expected: &[u8]) -> bool {
        match self {
            Self::Sha256 => keyed::<Sha256>(key, parts).is_some_and(|mac| mac.verify_slice(expected).is_ok()),
            Self::Sha384 => keyed::<Sha384>(key, parts).is_some_and(|mac| mac.verify_slice(expected).is_ok()),
            Self::Sha512 => keyed::<Sha512>(key, parts).is_some_and(|mac| mac.verify_slice(expected).is_ok()),
        }
    }
}

/// HMAC takes keys of any length: there is always one.
fn keyed<D: EagerHash>(key: &[u8], parts: &[&[u8]]) -> Option<Hmac<D>> {
    let mut mac = Hmac::<D>::new_from_slice(key).ok()?;
    parts.iter().for_each(|part| mac.update(part));
    Some(mac)
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;

    #[tokio::test]
    async fn a_key_is_derived_once() {
        let keys = Keys::new(b"keyboard cat".to_vec());
        let derive = |salt: &'static [u8]| keys.derive(Kdf::Pbkdf2(Hashing::Sha256, 10), salt, 32);
        let (one, again, other) = (derive(b"a"), derive(b"a"), derive(b"b"));
        let (one, again, other) = tokio::try_join!(one, again, other).unwrap();
        let later = derive(b"a").await.unwrap();
        assert!(Arc::ptr_eq(&one, &again) && Arc::ptr_eq(&one, &later) && !Arc::ptr_eq(&one, &other));
    }

    /// Each takes a processor, and scrypt 16 MiB: after a restart there may be one for every session.
    #[tokio::test]
    async fn no_more_keys_are_derived_at_a_time_than_there_are_processors() {
        let keys = Keys::new(b"keyboard cat".to_vec());
        let processors = u32::try_from(thread::available_parallelism().unwrap().get()).unwrap();
        let all = DERIVING.acquire_many(processors).await.unwrap();
        let mut derived =
            std::pin::pin!(keys.derive(Kdf::Pbkdf2(Hashing::Sha256, 10), b"a salt of its own", 32));
        let a_while = tokio::time::sleep(std::time::Duration::from_millis(200));
        tokio::select! {
            _ = &mut derived => panic!("it waits for nobody"),
            () = a_while => {}
        }
        drop(all);
        assert!(derived.await.is_ok());
        // And each holds its own until it is done. (Other tests derive keys as well.)
        for rounds in (4..).map(|power| 1 << power) {
            let kdf = Kdf::Pbkdf2(Hashing::Sha256, rounds);
            let mut another = std::pin::pin!(keys.derive(kdf, b"another salt", 32));
            // It may be done before it is asked for the first time.
            let polled = std::future::poll_fn(|context| Poll::Ready(another.as_mut().poll(context))).await;
            if polled.is_pending() {
                assert!(DERIVING.available_permits() < processors as usize);
                assert!(another.await.is_ok());
                break;
            }
        }
    }

    #[test]
    fn keys_are_wiped() {
        fn is_wiped<T: zeroize::ZeroizeOnDrop>(_: &T) {}
        is_wiped(&*Keys::new(Vec::new()).secret);
    }

    /// Node writes each session under a salt of its own.
    #[test]
    fn as_many_keys_are_remembered_as_it_says_and_the_oldest_goes_first() {
        let mut remembered = Remembered::default();
        let recipe = |number: usize| Recipe {
            kdf: Kdf::Scrypt,
            length: 32,
            salt: number.to_string().into_bytes().into(),
        };
        for number in 0..REMEMBERED + 10 {
            remembered.cell(&recipe(number));
            remembered.cell(&recipe(number));
        }
        assert_eq!((remembered.keys.len(), remembered.order.len()), (REMEMBERED, REMEMBERED));
        const { assert!(REMEMBERED <= 10_000, "each is a key and its salt") };
        assert!(!remembered.keys.contains_key(&recipe(9)) && remembered.keys.contains_key(&recipe(10)));
    }
}
