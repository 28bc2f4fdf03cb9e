//! The response around the session's cookie: what others did to it stays.

use crate::{
    adapters::{Adapter, App, Page, Reply, Shout, Visit, app, on_each_adapter},
    client::get,
    fixture::options,
};

/// A body in two parts, from a handler that changed the session.
async fn hello(visit: Visit) -> Reply<Page> {
    visit.insert("hit", true)?;
    Ok(Page::parts(["hello, ", "world"]))
}

async fn shouted(app: &App) {
    let first = get("/").ok(app).await;
    assert_eq!(first.body, "HELLO, WORLD");
    assert_eq!(first.cookies().len(), 1);
    assert_eq!(get("/").cookie_of(&first).ok(app).await.body, "HELLO, WORLD");
}

async fn a_middleware_outside_of_the_layer_may_rewrite_the_body(adapter: Adapter) {
    shouted(&app(adapter, options(), hello).shouting(Shout::OutsideOfTheSession)).await;
}

async fn a_middleware_inside_of_the_layer_may_rewrite_the_body(adapter: Adapter) {
    shouted(&app(adapter, options(), hello).shouting(Shout::InsideOfTheSession)).await;
}

async fn cookies_that_the_handler_sets_stay_and_ours_comes_last(adapter: Adapter) {
    let app = app(adapter, options(), async |_: Visit| {
        Ok(Page::from("hello").header("set-cookie", "previous=cookieValue"))
    });
    let cookies = get("/").ok(&app).await.cookies();
    let names: Vec<_> = cookies.iter().map(|cookie| cookie.name.as_str()).collect();
    assert_eq!(names, ["previous", "connect.sid"]);
    assert_eq!(cookies[0].value, "cookieValue");
}

async fn several_cookies_of_a_whole_response_stay_and_ours_comes_last(adapter: Adapter) {
    let app = app(adapter, options(), async |_: Visit| {
        let page = Page::from("hello").header("set-cookie", "previous=cookieValue");
        Ok(page.header("set-cookie", "connect.sid=not ours"))
    });
    let cookies = get("/").ok(&app).await.cookies();
    let names: Vec<_> = cookies.iter().map(|cookie| cookie.name.as_str()).collect();
    assert_eq!(names, ["previous", "connect.sid", "connect.sid"]);
    assert_eq!((cookies[0].value.as_str(), cookies[1].value.as_str()), ("cookieValue", "not ours"));
    assert_eq!(cookies[2].sid().len(), 32);
}

on_each_adapter!(
    a_middleware_outside_of_the_layer_may_rewrite_the_body,
    a_middleware_inside_of_the_layer_may_rewrite_the_body,
    cookies_that_the_handler_sets_stay_and_ours_comes_last,
    several_cookies_of_a_whole_response_stay_and_ours_comes_last,
);
