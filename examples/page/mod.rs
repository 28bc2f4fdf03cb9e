//! The page that every example shows.

/// A greeting for the first visit, a count for every other.
pub(crate) fn counter(views: u32) -> String {
    let text = match views {
        0 | 1 => "Welcome to this page for the first time!".to_owned(),
        views => format!("You visited this page {views} times"),
    };
    include_str!("counter.html").replace("{{text}}", &text)
}
