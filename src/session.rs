//! One `Session` for handlers of every framework.

use session_core::{SessionHandle, TypedHandle};

session_core::extractor! {
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
    pub struct Session(SessionHandle);
}

session_core::extractor! {
    /// The session of the request as one value of the application's own, in a handler of any framework: under one key, or as the whole
    /// of the session's data ([`SessionData`](session_core::SessionData)). All that it can do stands at [`TypedHandle`]. What an `Option` of it
    /// is, is said at [`Session`].
    #[cfg_attr(
        feature = "axum",
        doc = r#"
```
use axum::{Router, routing::post};
use express_session::{Options, SessionData, TypedSession, axum::{SessionError, SessionLayer}};
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
struct Cart {
    items: Vec<String>,
}

impl SessionData for Cart {
    const KEY: Option<&'static str> = Some("cart");
}

async fn add(cart: TypedSession<Cart>, item: String) -> Result<(), SessionError> {
    cart.modify(|cart| {
        let mut cart = cart.unwrap_or_default();
        cart.items.push(item);
        cart
    })?;
    Ok(())
}

let app: Router = Router::new().route("/cart", post(add)).layer(SessionLayer::new(Options::new("keyboard cat"))?);
# Ok::<(), express_session::OptionsError>(())
```
"#
    )]
    pub struct TypedSession<T>(TypedHandle<T>);
}

#[cfg(feature = "axum")]
mod axum {
    use ::axum::extract::{FromRequestParts, OptionalFromRequestParts};
    use ::http::request::Parts;
    use session_axum::{Session as Extracted, SessionError, session_of};
    use session_core::SessionData;

    use super::{Session, TypedSession};

    impl<S: Send + Sync, M: 'static> FromRequestParts<S> for Session<M> {
        type Rejection = SessionError;

        async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, SessionError> {
            let session = <Extracted<M> as FromRequestParts<S>>::from_request_parts(parts, state).await?;
            Ok(session.into_handle().into())
        }
    }

    impl<S: Send + Sync, M: 'static> OptionalFromRequestParts<S> for Session<M> {
        type Rejection = SessionError;

        async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, SessionError> {
            Ok(session_of::<M>(parts).await?.map(Self::from))
        }
    }

    impl<S: Send + Sync, T: SessionData, M: 'static> FromRequestParts<S> for TypedSession<T, M> {
        type Rejection = SessionError;

        async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, SessionError> {
            let session = <Extracted<M> as FromRequestParts<S>>::from_request_parts(parts, state).await?;
            Ok(session.typed().into())
        }
    }

    impl<S: Send + Sync, T: SessionData, M: 'static> OptionalFromRequestParts<S> for TypedSession<T, M> {
        type Rejection = SessionError;

        async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, SessionError> {
            Ok(session_of::<M>(parts).await?.map(|session| session.typed().into()))
        }
    }
}

#[cfg(feature = "actix")]
mod actix {
    use std::{future::Future, pin::Pin};

    use actix_web::{FromRequest, HttpRequest, dev::Payload};
    use session_actix::{Session as Extracted, SessionError};
    use session_core::SessionData;

    use super::{Session, TypedSession};

    impl<M: 'static> FromRequest for Session<M> {
        type Error = SessionError;
        type Future = Pin<Box<dyn Future<Output = Result<Self, SessionError>>>>;

        fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
            let session = Extracted::<M>::from_request(request, payload);
            Box::pin(async { Ok(session.await?.into_handle().into()) })
        }
    }

    impl<T: SessionData + 'static, M: 'static> FromRequest for TypedSession<T, M> {
        type Error = SessionError;
        type Future = Pin<Box<dyn Future<Output = Result<Self, SessionError>>>>;

        fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
            let session = Extracted::<M>::from_request(request, payload);
            Box::pin(async { Ok(session.await?.typed().into()) })
        }
    }
}

#[cfg(feature = "rocket")]
mod rocket {
    use ::rocket::{
        Request, async_trait,
        request::{FromRequest, Outcome},
    };
    use session_core::SessionData;
    use session_rocket::{Session as Extracted, SessionError};

    use super::{Session, TypedSession};

    #[async_trait]
    impl<'r, M: 'static> FromRequest<'r> for Session<M> {
        type Error = SessionError;

        async fn from_request(request: &'r Request<'_>) -> Outcome<Self, SessionError> {
            Extracted::<M>::from_request(request).await.map(|session| session.into_handle().into())
        }
    }

    #[async_trait]
    impl<'r, T: SessionData, M: 'static> FromRequest<'r> for TypedSession<T, M> {
        type Error = SessionError;

        async fn from_request(request: &'r Request<'_>) -> Outcome<Self, SessionError> {
            Extracted::<M>::from_request(request).await.map(|session| session.typed().into())
        }
    }
}
