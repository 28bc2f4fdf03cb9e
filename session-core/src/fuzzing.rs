//! What the fuzz targets call of the private modules: no part of the interface, and without the feature `__fuzzing` not there.

#![allow(missing_docs, reason = "each is its namesake's")]

use std::{borrow::Cow, net::IpAddr};

use serde::Serialize;

use crate::{
    Data, Proxy, Sid,
    wire::{
        date, forwarded, json,
        seal::{Purpose, Sealer},
        set_cookie,
    },
};

/// Cookie values that are longer are refused.
pub const VALUE_LIMIT: usize = crate::driver::load::VALUE_LIMIT;

pub fn to_text(value: &impl Serialize) -> Option<String> {
    json::to_text(value).ok()
}

pub fn without_lone_surrogates(json: &str) -> Cow<'_, str> {
    json::without_lone_surrogates(json)
}

pub fn encode_uri_component(value: &str) -> String {
    set_cookie::encode_uri_component(value).to_string()
}

pub fn iso(millis: i64) -> String {
    date::iso(millis)
}

pub fn http(millis: i64) -> String {
    date::http(millis)
}

pub fn parse_date(text: &str) -> Option<i64> {
    date::parse(text)
}

/// The elements of the header: for whom, and by what.
pub fn forwarded(header: &str) -> Option<Vec<(Option<IpAddr>, Option<String>)>> {
    Some(forwarded::elements(header)?.into_iter().map(|element| (element.from, element.proto)).collect())
}

/// Whether a peer is trusted by this word; `None`: it is refused.
pub fn trusts(word: &str, peer: IpAddr) -> Option<bool> {
    let proxy = Proxy::peers([word]);
    proxy.check().ok()?;
    Some(proxy.trusts(Some(peer)))
}

/// The id that is made when these bytes are drawn.
pub fn sid(drawn: &[u8; 24]) -> Sid {
    Sid::from_bytes(drawn)
}

pub fn insert(data: &mut Data, key: &str, json: &str) {
    data.insert(key, json.into());
}

pub fn remove(data: &mut Data, key: &str) -> bool {
    data.remove(key)
}

/// A cookie's value of whatever is to be in it.
pub fn sealed_cookie(secret: [u8; 32], name: &str, text: &[u8]) -> String {
    Sealer::new(&secret.into(), Purpose::Cookie(name)).seal(text, &format!("{name}\0"))
}
