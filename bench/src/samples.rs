//! What is measured with: a browser's headers, and records as Express writes them.

use std::fmt::Write;

/// The secret of every app.
pub const SECRET: &str = "a secret of thirty-two bytes, say";

/// The session that is counted by the million.
pub const SMALL: &str = r#"{"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"},"views":1,"user":"u123456"}"#;

/// What a browser sends beside its cookies.
pub const HEADERS: [(&str, &str); 6] = [
    ("host", "shop.example.com"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("accept-language", "en-US,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("connection", "keep-alive"),
];

/// A cookie among those that a page has from elsewhere.
#[must_use]
pub fn cookie_header(cookie: &str) -> String {
    format!("_ga=GA1.1.1187301843.1753081923; theme=dark; {cookie}; lang=en")
}

/// A record of about 4 kB under a dozen keys: a shop's cart and what goes with it.
#[must_use]
pub fn large() -> String {
    let mut record = SMALL.trim_end_matches('}').to_owned();
    for list in ["cart", "saved", "seen"] {
        let items = (0..8).map(|item| {
            format!(
                r#"{{"sku":"{list}-{item:08}","title":"A thing to \"have\", number {item}","price":1{item}.95,"quantity":{item},"tags":["new","sale"]}}"#
            )
        });
        _ = write!(record, r#","{list}":[{}]"#, items.collect::<Vec<_>>().join(","));
    }
    for key in ["csrf", "locale", "currency", "campaign", "referrer", "consent", "flash"] {
        _ = write!(record, r#","{key}":"{}""#, "abcdefgh".repeat(15));
    }
    record + "}"
}
