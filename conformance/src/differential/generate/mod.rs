//! Random cases from a seed.
//!
//! What is deliberately **not** generated, because this project answers otherwise on purpose or because the answer
//! hangs on the clock:
//!
//! - A record removed while the session that came from it is in use, and then written: express-session brings it back,
//!   this project does not. So only the *admin* client, which sends no cookie, uses `["store","destroy"]` and
//!   `["store","clear"]`, and never after a `save`. For the same reason a session whose age is at its end is not
//!   saved and then revived within one request (`requests::Lifetimes`).
//! - By the real time, ages between 1 ms and 60 s, and sleeping until a session ends: only null, 0, negative, or 60 s and
//!   more. With a clock of its own a case has them all; but no session ends *within* a request, which Express brings back, and no time passes there after a `save`, since which our
//!   cookie counts.
//! - A clock that goes back to before the end of a session that has ended: Express's memory store removes it when it comes across it,
//!   ours whenever it writes others.
//! - Keys that express-session or every JavaScript object reserves: `id`, `req`, `touch`, `save`, `reload`, `destroy`,
//!   `regenerate`, `resetMaxAge`, `cookie`, and those of `Object.prototype`.
//! - Lone surrogates, duplicate keys in one object and numbers beyond the range of a double.
//! - What Express accepts by accident: an empty name or secret, fractional ages, attributes that cannot be serialized, an `x-ops` that is no array.
//! - Two requests at once that both change the session: Express keeps what the last one wrote. And of two at once, one that ends
//!   the session, or changes its lifetime, which the other one still has; where the other one begins or ends before, it does both.
//! - Attributes of a session's cookie in spellings that the library's setters have no word for: `sameSite: true`, and null.
//! - A store that fails to set, touch or destroy at the end of a request: Express has sent its answer by then, this project's is a 503.
//!   In a handler, a `save` that fails is generated, and a `destroy` with `unset: "destroy"`: without a database, where this project
//!   writes blanks then, by which it knows its own record; and without numbered ids, since it takes another one, as nobody knows
//!   what is stored under the first. Without `unset: "destroy"`, and in a `regenerate`, Express leaves the record, and this project
//!   tries again at the end. And a store that fails to read, with `unset: "destroy"`: Express destroys what it could not read.
//! - `trust proxy` by address, which the probe protocol has no word for: `tests/parsers.rs` compares it with Express's own parser.
//! - Other cookies of more than 4 kB beside a good one, which this project may refuse unread.
//! - The new profile, which has no counterpart; HTTP/2 and HTTP/1.0; bodies of requests; `OPTIONS *`.
//! - Options of Node's stores beside those in `tests/common` (names of columns, `ttl` as a function; `touchAfter`, with which this project
//!   also touches what would end before the next touch, or shall end sooner): the stores' own tests have them.
//! - Records of more than some kilobytes (lists of up to three, three deep), keys of more than 20 bytes; more than three clients, or
//!   22 requests. `SameSite=None` and `Partitioned` without `secure` in the configuration, and `cookieSet` of `secure: "auto"`.
//! - A `save` without a `touch` before it, which the oracle gets from the runner (`Program::touches_before_saving`).
//! - Attributes of the cookie that two requests at once set, but its age: what merging makes of them is a unit test's.
//! - Records that are broken in another way than by being `{}`: the contracts of the stores have them.
//! - Time zones of a server but UTC and one other, and none with an hour that comes twice; express before 5.
//! - What `Content-Length` says of the body that a `HEAD` leaves out.
//! - 204, 304 and 1xx by `["status", …]`, and response headers that are not tokens: they test the frameworks.

mod config;
mod overlaps;
mod requests;
mod time;
mod values;

use self::time::Pace;
use super::case::Case;
use super::rng::Rng;

/// The case that `seed` stands for, for sides of up to `programs` programs, with a clock of its own or by the real time.
/// With a clock of its own no lifetime is shorter than `least` milliseconds; `on_database`: records can be spoilt.
pub(super) fn case(seed: u64, programs: usize, clock: bool, least: i64, on_database: bool) -> Case {
    let mut rng = Rng::new(seed);
    let mut config = config::random(&mut rng, programs == 1);
    config::over_tls(seed, &mut config);
    // Of two programs in turns each would have another outer store.
    if programs == 1 {
        config::within_another(seed, &mut config);
        config::unlike_the_other(seed, &mut config);
    }
    let starts_at = clock.then(|| time::start(seed));
    let pace = starts_at.map(|start| Pace::random(&mut rng, &mut config, start, least));
    config::lifetime_of_another(seed, &mut config);
    let requests = requests::random(&mut rng, &config, programs, pace.as_ref());
    let mut case = Case { seed, config, requests, starts_at };
    // Drawn apart from the rest as well.
    if programs == 1 && !on_database {
        requests::failing(seed, &mut case);
    }
    case.leave_one_reason();
    overlaps::more(seed, &mut case.requests);
    config::rotation(seed, &mut case);
    if on_database {
        requests::spoiling(seed, &mut case, programs);
    }
    if let Some(pace) = &pace {
        time::back(seed, pace, &mut case);
    }
    if case.config.contains_key("storeWithoutTouch") {
        // One that is over is not stored here, and so ends; in Express it lives on as it was stored.
        case.lengthen();
    }
    case
}
