//! Statuses as label values, of which there is a bounded number whatever an upstream answers.

use std::fmt;

/// The statuses that IANA lists, and 499, which stands in logs for a client that has left.
const KNOWN: [u16; 63] = [
    100, 101, 102, 103, 104, 200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303,
    304, 305, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414,
    415, 416, 417, 421, 422, 423, 424, 425, 426, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504,
    505, 506, 507, 508, 510, 511,
];

/// The status itself if it is a known one, else its first digit.
pub(crate) fn class(status: u16) -> u16 {
    // Nearly every response has one of these.
    if matches!(status, 200 | 304 | 404) {
        return status;
    }
    rare(status)
}

#[inline(never)]
fn rare(status: u16) -> u16 {
    match KNOWN.binary_search(&status) {
        Ok(_) => status,
        Err(_) => status / 100,
    }
}

/// A [`class`] as it is written.
pub(crate) struct Status(pub(crate) u16);

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            digit @ 0..10 => write!(f, "{digit}xx"),
            status => status.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_lists_is_its_class() {
        assert!(KNOWN.is_sorted());
        for (status, text) in [
            (200, "200"),
            (418, "4xx"),
            (499, "499"),
            (599, "5xx"),
            (600, "6xx"),
            (999, "9xx"),
            (101, "101"),
        ] {
            assert_eq!(Status(class(status)).to_string(), text);
        }
        let all: std::collections::BTreeSet<u16> = (100..1000).map(class).collect();
        assert!(all.len() < 80, "{}", all.len());
    }
}
