//! Text to types: one pure function a kind of value; `None` is "not allowed", and the table says
//! what would be.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::directories::Directories;
use super::secret::Secret;
use super::{CorsOrigins, LogFormat};

/// Most webhooks.
const WEBHOOKS_MAX: usize = 16;
/// Bytes of a secret that keys hang on.
pub(super) const SECRET_BYTES_MIN: usize = 32;
/// Items in one list.
const ITEMS_MAX: usize = 100;

pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// A number in the range; NaN is in none.
pub(super) fn number<T: FromStr + PartialOrd>(text: &str, range: RangeInclusive<T>) -> Option<T> {
    text.parse().ok().filter(|number| range.contains(number))
}

pub(super) fn count(text: &str, range: RangeInclusive<usize>) -> Option<NonZeroUsize> {
    number(text, range).and_then(NonZeroUsize::new)
}

/// `30s`, `5m`, `500ms`; a bare number is seconds.
pub fn duration(text: &str, range: RangeInclusive<Duration>) -> Option<Duration> {
    let (amount, unit) = amount_and_unit(text)?;
    let unit_ms = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let duration = Duration::from_millis(amount.checked_mul(unit_ms)?);
    range.contains(&duration).then_some(duration)
}

/// `1MiB`, `512 KiB`, `1MB`; a bare number is bytes.
pub(super) fn bytes<T>(text: &str, range: RangeInclusive<T>) -> Option<T>
where
    T: TryFrom<u64> + PartialOrd,
{
    let (amount, unit) = amount_and_unit(text)?;
    let unit_bytes = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return None,
    };
    let bytes = T::try_from(amount.checked_mul(unit_bytes)?).ok()?;
    range.contains(&bytes).then_some(bytes)
}

fn amount_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (amount, unit) = text.split_at(digits);
    Some((amount.parse().ok()?, unit.trim_start()))
}

/// An IP address; brackets around an IPv6 one are dropped. `localhost` is 127.0.0.1, with no
/// question to any resolver.
pub(super) fn host(text: &str) -> Option<IpAddr> {
    if text.eq_ignore_ascii_case("localhost") {
        return Some(Ipv4Addr::LOCALHOST.into());
    }
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    bracketed.unwrap_or(text).parse().ok()
}

/// Absolute, because the directory a server was started in is no promise to its clients.
pub(super) fn roots(items: &[String], directories: &Directories) -> Option<Vec<PathBuf>> {
    let absolute = |item: &String| directories.expand(item).filter(|path| path.is_absolute());
    (items.len() <= ITEMS_MAX).then(|| items.iter().map(absolute).collect())?
}

pub(super) fn cors_origins(items: &[String]) -> Option<CorsOrigins> {
    match items {
        [] => Some(CorsOrigins::Own),
        [item] if item == "*" => Some(CorsOrigins::Any),
        items if items.len() > ITEMS_MAX => None,
        items => {
            items.iter().map(|item| origin(item)).collect::<Option<_>>().map(CorsOrigins::Listed)
        }
    }
}

/// Names under which a node may be called, without ports, in lower case.
pub(super) fn hosts(items: &[String]) -> Option<Vec<String>> {
    let name = |item: &String| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
        let name = item.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(item);
        let is_address = name.parse::<IpAddr>().is_ok();
        let good = !name.is_empty() && name.len() <= 253 && name.bytes().all(is_plain);
        (good && (is_address || !name.contains(':'))).then(|| name.to_ascii_lowercase())
    };
    (items.len() <= ITEMS_MAX).then(|| items.iter().map(name).collect())?
}

/// Addresses of webhooks, with a filter in the fragment.
pub(super) fn webhooks(items: &[String]) -> Option<Vec<String>> {
    let urls: Option<Vec<String>> = items.iter().map(|item| url(item)).collect();
    urls.filter(|urls| urls.len() <= WEBHOOKS_MAX)
}

/// `scheme://host[:port]` in lower case, as browsers send it; one closing slash is forgiven.
fn origin(text: &str) -> Option<String> {
    let text = text.strip_suffix('/').unwrap_or(text).to_ascii_lowercase();
    let (scheme, host) = text.split_once("://")?;
    let scheme_is_good = !scheme.is_empty()
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let host_is_good = is_authority(host) && host != "*";
    (scheme_is_good && host_is_good).then_some(text)
}

/// An http or https address; a name and password in it would be shown with it, so they are refused.
pub(super) fn url(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let scheme_is_good = ["http", "https"].iter().any(|good| scheme.eq_ignore_ascii_case(good));
    let authority = rest.split(['/', '?', '#']).next()?;
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    (scheme_is_good && visible && is_authority(authority)).then(|| text.to_string())
}

fn is_authority(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(':')
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"@/?#,\\\"<>".contains(&byte))
}

pub(super) fn secret(text: &str) -> Option<Secret> {
    let good = (1..=1024).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    good.then(|| Secret::new(text))
}

/// One that nobody guesses, and that no list of words holds.
pub(super) fn long_secret(text: &str) -> Option<Secret> {
    (text.len() >= SECRET_BYTES_MIN).then(|| secret(text))?
}

pub(super) fn user(text: &str) -> Option<String> {
    let good = (1..=256).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    good.then(|| text.to_string())
}

pub(super) fn node_id(text: &str) -> Option<String> {
    name_of(text, |byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

pub(super) fn namespace(text: &str) -> Option<String> {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    name_of(text, allowed).filter(|name| !name.starts_with('_'))
}

fn name_of(text: &str, allowed: impl Fn(u8) -> bool) -> Option<String> {
    ((1..=64).contains(&text.len()) && text.bytes().all(allowed)).then(|| text.to_string())
}

pub(super) fn model(text: &str) -> Option<String> {
    (1..=200).contains(&text.chars().count()).then(|| text.to_string())
}

pub(super) fn time_zone(text: &str) -> Option<String> {
    jiff::tz::TimeZone::get(text).is_ok().then(|| text.to_string())
}

/// The parser of the log takes a bare word that is no level for the name of a part, so that a slip
/// like `inof` would silence the log; here such a word is refused.
pub(super) fn log_filter(text: &str) -> Option<String> {
    let is_level = |word: &str| {
        ["off", "error", "warn", "info", "debug", "trace"]
            .iter()
            .any(|level| word.eq_ignore_ascii_case(level))
    };
    let clear = |part: &str| part.contains(['=', '[', ']']) || is_level(part.trim());
    let good = text.split(',').all(clear) && EnvFilter::try_new(text).is_ok();
    good.then(|| text.to_string())
}

pub(super) fn log_format(text: &str) -> Option<LogFormat> {
    match text {
        "human" => Some(LogFormat::Human),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}

/// A duration as [`duration`] reads it, in the largest unit that is whole.
pub(super) fn duration_text(duration: Duration) -> String {
    let ms = duration.as_millis();
    for (unit_ms, unit) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")] {
        if ms >= unit_ms && ms.is_multiple_of(unit_ms) {
            return format!("{}{unit}", ms / unit_ms);
        }
    }
    format!("{ms}ms")
}
