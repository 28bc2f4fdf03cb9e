//! One `Session` for handlers of every framework.

use std::{fmt, marker::PhantomData, ops::Deref};

use session_core::SessionHandle;

/// The session of the request, in a handler of any framework whose feature is on: an extractor of axum and of actix-web, and a
/// request guard of Rocket. All that it can do stands at [`SessionHandle`], which it is behind `Deref`; functions of your own take
/// `&SessionHandle`.
///
/// `M` is the marker of its layer, where several sessions stand side by side.
///
/// On axum `Option<Session>` is `None` where the request's path is outside the cookie's path. actix-web and Rocket make an `Option`
/// of every extractor, which is `None` also when the store failed: there `MaybeSession` tells these apart.
#[cfg_attr(
    feature = "axum",
    doc = r#"
```
use axum::{Router, routing::get};
use express_session::{Options, Session, SessionHandle, axum::{SessionError, SessionLayer}};

async fn views(session: Session) -> Result<String, SessionError> {
    Ok(format!("{} views", count(&session)?))
}

fn count(session: &SessionHandle) -> Result<u32, express_session::Error> {
    let views = session.get::<u32>("views")?.unwrap_or(0) + 1;
    session.insert("views", views)?;
    Ok(views)
}

let app: Router = Router::new().route("/", get(views)).layer(SessionLayer::new(Options::new("keyboard cat"))?);
# Ok::<(), express_session::OptionsError>(())
```
"#
)]
pub struct Session<M = ()> {
    handle: SessionHandle,
    marker: PhantomData<fn() -> M>,
}

impl<M> Session<M> {
    /// The handle, for what outlives the handler.
    #[must_use]
    pub fn into_handle(self) -> SessionHandle {
        self.handle
    }

    #[cfg(any(feature = "axum", feature = "actix", feature = "rocket"))]
    fn of(handle: SessionHandle) -> Self {
        Self { handle, marker: PhantomData }
    }
}

impl<M> Clone for Session<M> {
    fn clone(&self) -> Self {
        Self { handle: self.handle.clone(), marker: PhantomData }
    }
}

impl<M> fmt::Debug for Session<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}

impl<M> Deref for Session<M> {
    type Target = SessionHandle;

    fn deref(&self) -> &SessionHandle {
        &self.handle
    }
}

#[cfg(feature = "axum")]
mod axum {
    use ::axum::extract::{FromRequestParts, OptionalFromRequestParts};
    use ::http::request::Parts;
    use session_axum::{Session as Extracted, SessionError, session_of};

    use super::Session;

    impl<S: Send + Sync, M: 'static> FromRequestParts<S> for Session<M> {
        type Rejection = SessionError;

        async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, SessionError> {
            let session = <Extracted<M> as FromRequestParts<S>>::from_request_parts(parts, state).await?;
            Ok(Self::of(session.into_handle()))
        }
    }

    impl<S: Send + Sync, M: 'static> OptionalFromRequestParts<S> for Session<M> {
        type Rejection = SessionError;

        async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, SessionError> {
            Ok(session_of::<M>(parts).await?.map(Self::of))
        }
    }
}

#[cfg(feature = "actix")]
mod actix {
    use std::{future::Future, pin::Pin};

    use actix_web::{FromRequest, HttpRequest, dev::Payload};
    use session_actix::{Session as Extracted, SessionError};

    use super::Session;

    impl<M: 'static> FromRequest for Session<M> {
        type Error = SessionError;
        type Future = Pin<Box<dyn Future<Output = Result<Self, SessionError>>>>;

        fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
            let session = Extracted::<M>::from_request(request, payload);
            Box::pin(async { Ok(Self::of(session.await?.into_handle())) })
        }
    }
}

#[cfg(feature = "rocket")]
mod rocket {
    use ::rocket::{
        Request, async_trait,
        request::{FromRequest, Outcome},
    };
    use session_rocket::{Session as Extracted, SessionError};

    use super::Session;

    #[async_trait]
    impl<'r, M: 'static> FromRequest<'r> for Session<M> {
        type Error = SessionError;

        async fn from_request(request: &'r Request<'_>) -> Outcome<Self, SessionError> {
            Extracted::<M>::from_request(request).await.map(|session| Self::of(session.into_handle()))
        }
    }
}
