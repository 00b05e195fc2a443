//! The table: what each option takes, with its unit and its bounds. A test reads the options off the sources of the runtime, so
//! that none is missing.

use super::{StandIn, text};
use crate::diag::Flaw;

/// One argument of one option.
pub(crate) struct Slot {
    /// What has the option: see [`Owner`](super::Owner).
    pub(crate) of: &'static str,
    pub(crate) option: &'static str,
    pub(crate) place: usize,
    pub(crate) domain: Domain,
}

/// The values that an argument may have.
pub(crate) enum Domain {
    /// A time of at most a year.
    Time {
        /// The shortest, in milliseconds; with 0 any.
        least: u64,
        /// What a time of zero does.
        zero: &'static str,
        /// What to write instead of zero.
        instead: &'static str,
    },
    /// A whole number.
    Count {
        least: u128,
        most: u128,
        /// What a number below the least does.
        less: &'static str,
        instead: &'static str,
    },
    /// A number of bytes above 0, with its unit or without.
    Size {
        /// What a size of zero does.
        zero: &'static str,
        instead: &'static str,
    },
    /// A number of percent from 1 or 0 to 100.
    Percent {
        least: u128,
        /// What a number below the least does.
        less: &'static str,
        /// What a number above 100 does.
        more: &'static str,
    },
    /// A share from 0.0 to 1.0.
    Share,
    /// A number from this one on.
    Factor(f64),
    /// A text of this form.
    Text(fn(&str) -> Option<Flaw>),
    /// A range of statuses.
    Statuses,
    /// `true` or `false`.
    Flag,
}

impl Domain {
    /// What has the type of the argument.
    pub(super) const fn stand_in(&self) -> StandIn {
        match self {
            Self::Time { .. } => StandIn::Duration,
            Self::Count { .. } | Self::Percent { .. } | Self::Size { .. } => StandIn::Whole,
            Self::Share | Self::Factor(_) => StandIn::Fraction,
            Self::Text(_) => StandIn::Text,
            Self::Statuses => StandIn::Range,
            Self::Flag => StandIn::Flag,
        }
    }

    /// What it takes, and an example.
    pub(super) const fn described(&self) -> (&'static str, &'static str) {
        match self {
            Self::Time { .. } => ("a duration", "5s"),
            Self::Count { .. } => ("a whole number", "3"),
            Self::Size { .. } => ("a size", "64KiB"),
            Self::Percent { .. } => ("a percentage", "50"),
            Self::Share => ("a share of the requests", "0.1"),
            Self::Factor(_) => ("a number with a decimal point", "1.25"),
            Self::Text(_) => ("a string", "\"..\""),
            Self::Statuses => ("a range of statuses", "200..300"),
            Self::Flag => ("`true` or `false`", "true"),
        }
    }
}

const U32: u128 = u32::MAX as u128;
const USIZE: u128 = usize::MAX as u128;

const REMOVE: &str = "write a longer time, or remove the option";
const LONGER: &str = "write a longer time";
const FROM_ONE: &str = "write 1 or more";

const fn time(
    of: &'static str,
    option: &'static str,
    zero: &'static str,
    instead: &'static str,
) -> Slot {
    time_from(of, option, 1, zero, instead)
}

const fn time_from(
    of: &'static str,
    option: &'static str,
    least: u64,
    zero: &'static str,
    instead: &'static str,
) -> Slot {
    let domain = Domain::Time {
        least,
        zero,
        instead,
    };
    slot(of, option, 0, domain)
}

const fn any_time(of: &'static str, option: &'static str, place: usize) -> Slot {
    let domain = Domain::Time {
        least: 0,
        zero: "",
        instead: "",
    };
    slot(of, option, place, domain)
}

const fn count(
    of: &'static str,
    option: &'static str,
    (least, most): (u128, u128),
    less: &'static str,
    instead: &'static str,
) -> Slot {
    let domain = Domain::Count {
        least,
        most,
        less,
        instead,
    };
    slot(of, option, 0, domain)
}

const fn any_count(of: &'static str, option: &'static str, most: u128) -> Slot {
    count(of, option, (0, most), "", "")
}

const fn text(of: &'static str, option: &'static str, form: fn(&str) -> Option<Flaw>) -> Slot {
    slot(of, option, 0, Domain::Text(form))
}

const fn flag(of: &'static str, option: &'static str) -> Slot {
    slot(of, option, 0, Domain::Flag)
}

const fn slot(of: &'static str, option: &'static str, place: usize, domain: Domain) -> Slot {
    Slot {
        of,
        option,
        place,
        domain,
    }
}

/// The window of a share of failures, and how many tries it needs.
const fn window(of: &'static str) -> [Slot; 2] {
    let volume = Domain::Count {
        least: 1,
        most: U32,
        less: "needs at least one request to judge an endpoint",
        instead: FROM_ONE,
    };
    let time = Domain::Time {
        least: 1,
        zero: "counts nothing",
        instead: "write how long failures are counted, such as `10s`",
    };
    [slot(of, "share", 1, volume), slot(of, "share", 2, time)]
}

/// 0 refuses every request, and so does what is above a billion.
const fn rate(option: &'static str) -> Slot {
    count(
        "RateLimit",
        option,
        (1, 1_000_000_000),
        "refuses every request",
        FROM_ONE,
    )
}

const PASSIVE_WINDOW: [Slot; 2] = window("PassiveOptions");
const BREAKER_WINDOW: [Slot; 2] = window("BreakerOptions");

pub(crate) static SLOTS: &[&[Slot]] = &[
    &[
        time("target", "timeout", "ends every request at once", REMOVE),
        time(
            "target",
            "response_timeout",
            "leaves the upstream no time to answer",
            REMOVE,
        ),
        time(
            "target",
            "idle_timeout",
            "cuts every body off at once",
            "write a longer time, such as `24h` for connections that are often idle",
        ),
        time(
            "target",
            "connect_timeout",
            "leaves no time to connect",
            REMOVE,
        ),
        time(
            "target",
            "hedge",
            "sends every request twice",
            "write how long the first try may take before the second starts, such as `50ms`",
        ),
        text("target", "host_header", text::authority),
        flag("target", "preserve_host_if"),
        flag("target", "public_address_if"),
        flag("target", "encoded_slashes_if"),
        flag("target", "forwarded_if"),
        flag("target", "required_if"),
        flag("target", "http2_if"),
        flag("target", "allow_equal_lengths_if"),
        flag("target", "allow_folded_fields_if"),
        flag("target", "allow_bare_line_feeds_if"),
        any_count("target", "retry", U32),
        slot("target", "mirror", 1, Domain::Share),
        count(
            "target",
            "max_connections",
            (1, USIZE),
            "lets no request through",
            "write 1 or more, or remove the option",
        ),
        count(
            "target",
            "max_response_headers",
            (1, USIZE),
            "lets no response through",
            "write 1 or more, or remove the option",
        ),
        slot(
            "target",
            "max_response_header_size",
            0,
            Domain::Size {
                zero: "lets no response through",
                instead: "write a size such as `64KiB`, or remove the option",
            },
        ),
    ],
    &[
        count(
            "endpoint",
            "weight",
            (1, U32),
            "gives this endpoint no requests",
            "remove the endpoint from the list, or write a weight of 1 or more",
        ),
        any_count("endpoint", "priority", u8::MAX as u128),
    ],
    &[
        text("check", "http", text::path_of_check),
        text("check", "new", text::path_of_check),
        text("check", "host", text::authority),
        slot("check", "expect", 0, Domain::Statuses),
        time_from(
            "check",
            "every",
            10,
            "never pauses between two checks",
            LONGER,
        ),
        time_from(
            "check",
            "every_while_changing",
            10,
            "never pauses between two checks",
            LONGER,
        ),
        time("check", "timeout", "fails every check", LONGER),
        count(
            "check",
            "fall",
            (1, U32),
            "ejects endpoints that failed no check",
            FROM_ONE,
        ),
        count(
            "check",
            "rise",
            (1, U32),
            "restores endpoints that passed no check",
            FROM_ONE,
        ),
    ],
    &[
        any_count("RetryOptions", "new", U32),
        time(
            "RetryOptions",
            "per_try_timeout",
            "gives up every try at once",
            REMOVE,
        ),
        any_time("RetryOptions", "back_off", 0),
        any_time("RetryOptions", "back_off", 1),
        any_time("RetryOptions", "patience", 0),
    ],
    &[
        time(
            "HedgeOptions",
            "after",
            "sends every request twice",
            "write how long the first try may take before the second starts, such as `50ms`",
        ),
        any_count("BudgetOptions", "percent", U32),
        any_count("BudgetOptions", "and_per_second", U32),
    ],
    &[
        slot("MirrorOptions", "new", 0, Domain::Share),
        count(
            "MirrorOptions",
            "at_once",
            (1, USIZE),
            "lets no copy through",
            FROM_ONE,
        ),
        time(
            "MirrorOptions",
            "timeout",
            "gives up every copy at once",
            LONGER,
        ),
    ],
    &[
        any_count("PoolOptions", "max_idle", USIZE),
        any_count("PoolOptions", "warm", USIZE),
        time(
            "PoolOptions",
            "idle_timeout",
            "keeps no idle connection",
            "write `.max_idle(0)` to keep none",
        ),
        time(
            "PoolOptions",
            "lifetime",
            "keeps no connection",
            "write `.max_idle(0)` to keep none",
        ),
        count(
            "PoolOptions",
            "streams",
            (1, USIZE),
            "lets no stream through",
            FROM_ONE,
        ),
    ],
    &[
        any_count("QueueOptions", "length", USIZE),
        time(
            "QueueOptions",
            "timeout",
            "lets no request wait",
            "write `.length(0)` to let none wait",
        ),
    ],
    &[
        any_count("PassiveOptions", "in_a_row", U32),
        count(
            "PassiveOptions",
            "share",
            (1, U32),
            "ejects endpoints that have not failed",
            "write a percentage from 1 to 100, or more than 100 to turn it off",
        ),
        time(
            "PassiveOptions",
            "eject_for",
            "ejects no endpoint",
            "write `.without_passive()` to eject none",
        ),
        any_time("PassiveOptions", "eject_for", 1),
        any_time("PassiveOptions", "silence", 0),
        slot(
            "PassiveOptions",
            "at_most",
            0,
            Domain::Percent {
                least: 0,
                less: "",
                more: "is more than all endpoints",
            },
        ),
    ],
    &PASSIVE_WINDOW,
    &[
        slot(
            "BreakerOptions",
            "share",
            0,
            Domain::Percent {
                least: 1,
                less: "opens the breaker without a failure",
                more: "never opens the breaker",
            },
        ),
        time(
            "BreakerOptions",
            "open_for",
            "closes the breaker as soon as it opens",
            LONGER,
        ),
        count(
            "BreakerOptions",
            "probes",
            (1, U32),
            "closes the breaker without a probe",
            FROM_ONE,
        ),
    ],
    &BREAKER_WINDOW,
    &[
        time(
            "SlowStart",
            "over",
            "gives an endpoint its full share at once",
            "write `prox::SlowStart::off()` if you mean that",
        ),
        slot(
            "SlowStart",
            "from_percent",
            0,
            Domain::Percent {
                least: 1,
                less: "starts with no requests, and so never ends",
                more: "is more than the full share",
            },
        ),
    ],
    &[
        text("Sticky", "cookie", text::cookie_name),
        text("Sticky", "secret", text::secret),
        flag("Sticky", "secure"),
        text("Sticky", "domain", text::cookie_domain),
        text("Sticky", "path", text::cookie_path),
        time_from(
            "Sticky",
            "max_age",
            1000,
            "removes the cookie",
            "write a time of whole seconds, or remove the option",
        ),
        text("key", "cookie", text::cookie_name),
        text("key", "header", text::header_name),
        text("key", "query", text::query_name),
        slot("hash", "bounded", 0, Domain::Factor(1.01)),
    ],
    &[
        time_from("dns", "min_ttl", 100, "asks DNS without a pause", LONGER),
        time("dns", "max_ttl", "asks DNS without a pause", LONGER),
    ],
    &[text("UpstreamTls", "sni", text::server_name)],
    // Checked by its type, since it is a layer.
    &[rate("per_second"), rate("per_minute"), rate("burst")],
];

/// The domain of an argument, if it has one.
pub(crate) fn domain(of: &str, option: &str, place: usize) -> Option<&'static Domain> {
    let mut slots = SLOTS.iter().copied().flatten();
    slots
        .find(|slot| slot.of == of && slot.option == option && slot.place == place)
        .map(|slot| &slot.domain)
}
