//! Guards that look as if together they accepted everything, and do not.

use super::{Guard, Key, Test, cookies};

/// Values of which one is what the other is not.
const OPPOSITES: [(&str, &str); 5] = [
    ("1", "0"),
    ("true", "false"),
    ("yes", "no"),
    ("on", "off"),
    ("y", "n"),
];

/// What is left over by guards that seem to leave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    /// What a request must lack; of an address, the other family.
    pub(crate) key: Key,
    /// What it can have, so that it is like those that are accepted but for that.
    pub(crate) rest: Guard,
}

impl Guard {
    /// Whether it can be one of such guards; cheap, to be asked of all.
    pub(crate) fn is_one_side(&self) -> bool {
        !self.opaque && self.tests.values().any(Test::is_one_side)
    }

    /// What it leaves over, if alone it looks like everything: every address of one family.
    pub(crate) fn open(&self) -> Option<Open> {
        self.network()
            .filter(|network| network.bits() == 0 && !self.opaque)
            .map(|_| self.but_for(Key::ClientIp))
    }

    /// What both leave over, if they differ only in one value, which is the opposite of the other.
    pub(crate) fn open_beside(&self, other: &Self) -> Option<Open> {
        if self.opaque || other.opaque || !self.tests.keys().eq(other.tests.keys()) {
            return None;
        }
        let pairs = self.tests.iter().zip(other.tests.values());
        let mut different = pairs.filter(|((_, test), other)| test != other);
        let ((key, test), opposite) = different.next()?;
        let only = different.next().is_none();
        (only && test.is_opposite(opposite)).then(|| self.but_for(key.clone()))
    }

    /// Whether the addresses that it asks for are those of IPv4.
    pub(crate) fn is_for_ipv4(&self) -> bool {
        self.network()
            .is_some_and(|network| network.example().is_ipv4())
    }

    /// Whether it asks for something of this key.
    pub(crate) fn asks_for(&self, key: &Key) -> bool {
        self.tests
            .get(key)
            .is_some_and(|test| *test != Test::Absent)
    }

    fn but_for(&self, key: Key) -> Open {
        let mut rest = self.clone();
        rest.tests.remove(&key);
        if !rest.tests.keys().any(|key| matches!(key, Key::Cookie(_))) {
            rest.tests.remove(&cookies());
        }
        Open { key, rest }
    }
}

impl Test {
    fn is_one_side(&self) -> bool {
        match self {
            Self::Is(value) => value.is_empty() || opposite(value).is_some(),
            Self::Within(network) => network.bits() == 0,
            Self::Exists | Self::Absent | Self::OneOf(_) | Self::StartsWith(_) => false,
        }
    }

    /// A value and its opposite; or a value that is empty, which is not the same as none, and any.
    fn is_opposite(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Is(a), Self::Exists) | (Self::Exists, Self::Is(a)) => a.is_empty(),
            (Self::Is(a), Self::Is(b)) => {
                opposite(a).is_some_and(|other| other == b.to_ascii_lowercase())
            }
            _ => false,
        }
    }
}

fn opposite(value: &str) -> Option<&'static str> {
    let value = value.to_ascii_lowercase();
    OPPOSITES.iter().find_map(|(a, b)| match () {
        () if *a == value => Some(*b),
        () if *b == value => Some(*a),
        () => None,
    })
}
