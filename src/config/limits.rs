//! The settings of rate limits: how much one caller may ask for.

use std::collections::BTreeMap;
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Value, json};

use super::HttpConfig;
use super::error::ConfigError;
use super::parse;
use super::read::Reader;
use super::show::Show;

/// Most tools that can have a limit of their own.
const TOOL_COUNT_MAX: usize = 64;
/// A burst that is not told is what comes in this time.
const BURST_SECONDS: u64 = 10;
/// Connections of one address, unless something else was set: a whole office may be behind one.
const CONNECTION_COUNT: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");

/// How much one caller may ask for. A caller is a key, or an address for calls without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitsConfig {
    /// Looking at memories, lists, states.
    pub reads: RateLimit,
    /// Storing, changing and forgetting; a batch counts as the memories in it.
    pub writes: RateLimit,
    /// Searches.
    pub searches: RateLimit,
    /// Event streams that are opened.
    pub events: RateLimit,
    /// Wrong credentials, of one address.
    pub failures: RateLimit,
    /// Connections that one address has at a time.
    pub connections: ConnectionLimit,
    /// Calls of MCP tools, by their names, on top of the limits above.
    pub tools: ToolLimits,
    /// Callers that are told apart; of more, those that were heard of longest ago are forgotten.
    pub caller_count_max: NonZeroUsize,
}

/// A rate, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimit {
    /// As much as comes.
    Off,
    /// So much.
    At(Rate),
}

impl RateLimit {
    /// The rate, if there is one.
    pub fn rate(self) -> Option<Rate> {
        match self {
            RateLimit::Off => None,
            RateLimit::At(rate) => Some(rate),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "off" => Some(RateLimit::Off),
            text => text.parse().ok().map(RateLimit::At),
        }
    }

    /// `count` a second.
    fn a_second(count: u32) -> Self {
        let count = NonZeroU32::new(count).expect("a rate above zero");
        RateLimit::At(Rate::new(count, Duration::from_secs(1), None))
    }
}

/// So many in a time, and how many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many come back in `period`.
    pub count: NonZeroU32,
    /// A second, a minute or an hour.
    pub period: Duration,
    /// How many may come at once, after a time of silence.
    pub burst: NonZeroU32,
}

impl Rate {
    /// `burst` is what comes in ten seconds, at least one, when it is not told.
    pub fn new(count: NonZeroU32, period: Duration, burst: Option<NonZeroU32>) -> Self {
        let told = u64::from(count.get()) * BURST_SECONDS / period.as_secs().max(1);
        let usual = NonZeroU32::new(u32::try_from(told).unwrap_or(u32::MAX));
        Rate { count, period, burst: burst.or(usual).unwrap_or(NonZeroU32::MIN) }
    }
}

/// `100/s`, `600/m`, `50/h`, each also with `burst 20` behind it.
impl FromStr for Rate {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut words = text.split_whitespace();
        let (count, unit) = words.next().and_then(|word| word.split_once('/')).ok_or(())?;
        let period = match unit {
            "s" => Duration::from_secs(1),
            "m" => Duration::from_mins(1),
            "h" => Duration::from_hours(1),
            _ => return Err(()),
        };
        let number = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| digits).ok_or(())
        };
        let burst = match (words.next(), words.next(), words.next()) {
            (None, ..) => None,
            (Some("burst"), Some(burst), None) => Some(number(burst)?),
            _ => return Err(()),
        };
        Ok(Rate::new(number(count)?, period, burst))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.period.as_secs() {
            1 => "s",
            60 => "m",
            _ => "h",
        };
        write!(formatter, "{}/{unit}", self.count)?;
        if *self == Rate::new(self.count, self.period, None) {
            return Ok(());
        }
        write!(formatter, " burst {}", self.burst)
    }
}

impl Show for RateLimit {
    fn show(&self) -> Value {
        match self {
            RateLimit::Off => json!("off"),
            RateLimit::At(rate) => json!(rate.to_string()),
        }
    }
}

/// How many connections one address may have at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionLimit {
    /// As many as the node takes.
    Off,
    /// So many.
    At(NonZeroUsize),
}

impl ConnectionLimit {
    /// The number, if there is one.
    pub fn count_max(self) -> Option<NonZeroUsize> {
        match self {
            ConnectionLimit::Off => None,
            ConnectionLimit::At(count) => Some(count),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "off" => Some(ConnectionLimit::Off),
            text => parse::count(text, 1..=1_000_000).map(ConnectionLimit::At),
        }
    }
}

impl Show for ConnectionLimit {
    fn show(&self) -> Value {
        match self {
            ConnectionLimit::Off => json!("off"),
            ConnectionLimit::At(count) => json!(count),
        }
    }
}

/// Limits of single tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolLimits(pub BTreeMap<String, Rate>);

impl ToolLimits {
    /// Items such as `memory_ingest=10/m`.
    fn parse(items: &[String]) -> Option<Self> {
        let limits: Option<BTreeMap<String, Rate>> = items
            .iter()
            .map(|item| {
                let (tool, rate) = item.split_once('=')?;
                let named = tool.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase());
                let tool = (named && !tool.is_empty()).then(|| tool.to_owned())?;
                Some((tool, rate.parse().ok()?))
            })
            .collect();
        let distinct = |limits: &BTreeMap<_, _>| limits.len() == items.len();
        limits.filter(distinct).filter(|limits| limits.len() <= TOOL_COUNT_MAX).map(ToolLimits)
    }
}

impl Show for ToolLimits {
    fn show(&self) -> Value {
        self.0.iter().map(|(tool, rate)| json!(format!("{tool}={rate}"))).collect()
    }
}

/// Reads `limits.*`, each once. On loopback, where callers are programs of this machine, nothing
/// is limited unless that was set.
pub(super) fn read(reader: &mut Reader, http: &HttpConfig) -> Result<LimitsConfig, ConfigError> {
    let mut rate = |key, usual| {
        reader.or_else(key, RateLimit::parse, |_| {
            Ok(if http.is_loopback() { RateLimit::Off } else { RateLimit::a_second(usual) })
        })
    };
    Ok(LimitsConfig {
        reads: rate("limits.reads", 5_000)?,
        writes: rate("limits.writes", 2_000)?,
        searches: rate("limits.searches", 500)?,
        events: rate("limits.events", 20)?,
        failures: rate("limits.failures", 5)?,
        connections: reader.or_else("limits.connections", ConnectionLimit::parse, |_| {
            Ok(match http.is_loopback() {
                true => ConnectionLimit::Off,
                false => ConnectionLimit::At(CONNECTION_COUNT),
            })
        })?,
        tools: reader.list("limits.tools", ToolLimits::parse)?.unwrap_or_default(),
        caller_count_max: reader
            .required("limits.callers_max", |text| parse::count(text, 16..=10_000_000))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_reads_back_as_it_was_written() {
        for text in ["100/s", "6/m", "50/h", "10/s burst 7", "1/h burst 1000"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        let rate: Rate = "600/m".parse().unwrap();
        assert_eq!((rate.count.get(), rate.burst.get()), (600, 100));
        let rate: Rate = "5/h".parse().unwrap();
        assert_eq!(rate.burst.get(), 1);
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in ["", "5", "0/s", "-1/s", "+1/s", "5/d", "5/s burst", "5/s burst 0", "5/s 7"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
            assert!(RateLimit::parse(text).is_none(), "{text}");
        }
        assert!("5000000000/s".parse::<Rate>().is_err());
    }

    #[test]
    fn tools_have_names() {
        let parse = |items: &[&str]| {
            ToolLimits::parse(&items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(parse(&["memory_ingest=10/m"]).unwrap().0.len(), 1);
        for wrong in [&["=1/s"][..], &["a"], &["A=1/s"], &["a=1/x"], &["a=1/s", "a=2/s"]] {
            assert!(parse(wrong).is_none(), "{wrong:?}");
        }
    }
}
