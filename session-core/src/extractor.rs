//! What every adapter's extractors have in common. They are types of the adapters', since a framework's traits can only be
//! implemented there.

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
