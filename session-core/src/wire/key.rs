//! A key as an application has it.

use std::fmt;

use zeroize::Zeroizing;

/// One key of a [`Keygrip`](crate::Keygrip), or of the [`SealingKeys`](crate::SealingKeys): text or bytes. Wiped on drop.
///
/// ```
/// use session_core::{CookieSessionOptions, Key};
///
/// let key: [u8; 32] = std::array::from_fn(|at| at as u8);
/// let one = CookieSessionOptions::new(key);
/// let several = CookieSessionOptions::new([Key::from(key), "last year's".into()]);
/// # assert!(one.build().is_ok() && several.build().is_ok());
/// ```
#[derive(Clone)]
pub struct Key(Zeroizing<Vec<u8>>);

impl Key {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// From text or bytes, as Node takes a string or a Buffer.
macro_rules! from_bytes {
    ($($key:ident: $type:ty $(, $n:ident)? => $bytes:expr;)*) => {$(
        impl$(<const $n: usize>)? From<$type> for Key {
            fn from($key: $type) -> Self {
                Self(Zeroizing::new($bytes))
            }
        }
    )*};
}

from_bytes! {
    key: &str => key.as_bytes().to_vec();
    key: &String => key.as_bytes().to_vec();
    key: String => key.into_bytes();
    key: &[u8] => key.to_vec();
    key: Vec<u8> => key;
    key: [u8; N], N => Zeroizing::new(key).to_vec();
    key: &[u8; N], N => key.to_vec();
}

/// Of what is made of keys, one alone: as what is made of them has it.
macro_rules! from_one {
    ($keys:ident) => {
        $crate::wire::key::from_one!($keys: &str, &String, String, &[u8], Vec<u8>, Key);

        impl<const N: usize> From<[u8; N]> for $keys {
            fn from(key: [u8; N]) -> Self {
                Self::new([Key::from(key)])
            }
        }

        impl<const N: usize> From<&[u8; N]> for $keys {
            fn from(key: &[u8; N]) -> Self {
                Self::new([Key::from(key)])
            }
        }

        impl<K: Into<Key>, const N: usize> From<[K; N]> for $keys {
            fn from(keys: [K; N]) -> Self {
                Self::new(keys)
            }
        }

        impl<K: Into<Key>> From<Vec<K>> for $keys {
            fn from(keys: Vec<K>) -> Self {
                Self::new(keys)
            }
        }
    };
    ($keys:ident: $($type:ty),*) => {$(
        impl From<$type> for $keys {
            fn from(key: $type) -> Self {
                Self::new([Key::from(key)])
            }
        }
    )*};
}

pub(crate) use from_one;

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_wiped_and_not_shown() {
        fn is_wiped<T: zeroize::ZeroizeOnDrop>(_: &T) {}
        is_wiped(&Key::from("keyboard cat").0);
        assert_eq!(format!("{:?}", Key::from("swordfish")), "Key(…)");
    }
}
