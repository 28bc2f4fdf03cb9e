//! Text in and out: headers, ids, dates and JSON, to the byte as Node writes them.

pub(crate) mod cookie_header;
pub(crate) mod date;
pub(crate) mod forwarded;
pub(crate) mod header_list;
pub(crate) mod json;
pub(crate) mod key;
pub(crate) mod keygrip;
pub(crate) mod seal;
pub(crate) mod set_cookie;
pub(crate) mod sid;
pub(crate) mod token;
