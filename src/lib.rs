#![cfg_attr(feature = "axum", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "axum"),
    doc = "express-session for Rust: the whole page, with its examples on axum, is the one with that feature."
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod open;
mod session;

#[doc(inline)]
pub use session_core::*;

#[doc = include_str!("../docs/where_the_layer_goes.md")]
pub mod where_the_layer_goes {}

#[doc = include_str!("../docs/how_long_a_session_lives.md")]
pub mod how_long_a_session_lives {}

pub use crate::{
    open::{OpenStoreError, open_store},
    session::{Session, TypedSession},
};

/// The layer and the extractor for axum and every tower HTTP service.
#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
pub mod axum {
    #[doc(inline)]
    pub use session_axum::{
        Encrypted, ResponseFuture, SessionError, SessionLayer, SessionService, session, session_of,
    };

    pub use crate::{Session, TypedSession};
}

/// The middleware and the extractor for actix-web.
#[cfg(feature = "actix")]
#[cfg_attr(docsrs, doc(cfg(feature = "actix")))]
pub mod actix {
    #[doc(inline)]
    pub use session_actix::{MaybeSession, SessionError, SessionExt, SessionMiddleware, SessionService};

    pub use crate::{Session, TypedSession};
}

/// The fairing and the request guard for Rocket.
#[cfg(feature = "rocket")]
#[cfg_attr(docsrs, doc(cfg(feature = "rocket")))]
pub mod rocket {
    #[doc(inline)]
    pub use session_rocket::{MaybeSession, SessionError, SessionFairing, session, session_of};

    pub use crate::{Session, TypedSession};
}

/// The Redis store, sharing records with connect-redis.
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub mod redis {
    #[doc(inline)]
    pub use store_redis::*;
}

/// The MongoDB store, sharing documents with connect-mongo.
#[cfg(feature = "mongo")]
#[cfg_attr(docsrs, doc(cfg(feature = "mongo")))]
pub mod mongo {
    #[doc(inline)]
    pub use store_mongo::*;
}

/// The PostgreSQL, MySQL and SQLite stores, sharing tables with Node's: each with its feature.
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
#[cfg_attr(docsrs, doc(cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))))]
pub mod sql {
    #[doc(inline)]
    pub use store_sqlx::*;
}
