//! What the adapters have in common: the layer, what handlers ask for, and the error. They are types of the adapters', since a framework's
//! traits can only be implemented there.

/// What an application adds to its framework. The words before `marked` are of that function. `M` is its marker.
#[doc(hidden)]
#[macro_export]
macro_rules! layer {
    (
        $(#[$attribute:meta])* pub struct $name:ident;
        $(#[$marked:meta])* pub fn marked;
    ) => {
        $(#[$attribute])*
        pub struct $name<M = ()> {
            sessions: $crate::Sessions,
            marker: ::std::marker::PhantomData<fn() -> M>,
        }

        impl $name {
            /// From options, which are checked here: [`Options`](session_core::Options), or where the clients keep their sessions themselves
            /// [`CookieSessionOptions`](session_core::CookieSessionOptions).
            ///
            /// # Errors
            /// Options that cannot work; the error names the option.
            pub fn new<O>(options: O) -> ::std::result::Result<Self, $crate::OptionsError>
            where
                O: ::std::convert::TryInto<$crate::Sessions, Error = $crate::OptionsError>,
            {
                options.try_into().map(Self::from)
            }

            $(#[$marked])*
            #[must_use]
            pub fn marked<M>(self) -> $name<M> {
                $name { sessions: self.sessions, marker: ::std::marker::PhantomData }
            }
        }

        /// From sessions that something else shares.
        impl ::std::convert::From<$crate::Sessions> for $name {
            fn from(sessions: $crate::Sessions) -> Self {
                Self { sessions, marker: ::std::marker::PhantomData }
            }
        }

        impl<M> ::std::clone::Clone for $name<M> {
            fn clone(&self) -> Self {
                Self { sessions: self.sessions.clone(), marker: ::std::marker::PhantomData }
            }
        }

        impl<M> ::std::fmt::Debug for $name<M> {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_tuple(::std::stringify!($name)).field(&self.sessions).finish()
            }
        }
    };
}

/// The error that a handler passes on. What a framework makes of it is the adapter's.
#[doc(hidden)]
#[macro_export]
macro_rules! session_error {
    ($(#[$attribute:meta])* pub struct $name:ident;) => {
        $(#[$attribute])*
        #[derive(Clone, Debug)]
        pub struct $name($crate::Failure);

        impl $name {
            /// What went wrong.
            #[must_use]
            pub fn error(&self) -> &$crate::Error {
                self.0.error()
            }
        }

        impl ::std::convert::From<$crate::Error> for $name {
            fn from(error: $crate::Error) -> Self {
                Self(error.into())
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(self.error(), f)
            }
        }

        impl ::std::error::Error for $name {
            fn source(&self) -> ::std::option::Option<&(dyn ::std::error::Error + 'static)> {
                ::std::error::Error::source(self.error())
            }
        }
    };
}

/// A type that a handler asks for: what it holds is behind `Deref`. Its last parameter `M` is the marker of its layer.
#[doc(hidden)]
#[macro_export]
macro_rules! extractor {
    ($(#[$attribute:meta])* pub struct $name:ident $(<$data:ident>)? ($inner:ty);) => {
        $(#[$attribute])*
        pub struct $name<$($data,)? M = ()> {
            inner: $inner,
            marker: ::std::marker::PhantomData<fn() -> M>,
        }

        impl<$($data,)? M> $name<$($data,)? M> {
            /// The handle, for what outlives the handler.
            #[must_use]
            pub fn into_handle(self) -> $inner {
                self.inner
            }
        }

        /// For a test that calls a handler without a server.
        impl<$($data,)? M> ::std::convert::From<$inner> for $name<$($data,)? M> {
            fn from(inner: $inner) -> Self {
                Self { inner, marker: ::std::marker::PhantomData }
            }
        }

        impl<$($data,)? M> ::std::ops::Deref for $name<$($data,)? M> {
            type Target = $inner;

            fn deref(&self) -> &$inner {
                &self.inner
            }
        }

        impl<$($data,)? M> ::std::clone::Clone for $name<$($data,)? M> {
            fn clone(&self) -> Self {
                self.inner.clone().into()
            }
        }

        impl<$($data,)? M> ::std::fmt::Debug for $name<$($data,)? M> {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Debug::fmt(&self.inner, f)
            }
        }
    };
}
