//! Guards that look as if together they accepted everything, and do not.

use super::{Case, Guard, Key, Set, set::Shape};

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
        self.only_case()
            .is_some_and(|case| case.tests().any(|(_, set)| is_one_side(set)))
    }

    /// What it leaves over, if alone it looks like everything: every address of one family.
    pub(crate) fn open(&self) -> Option<Open> {
        let case = self.only_case()?;
        let address = case.test(&Key::ClientIp)?;
        matches!(address.shape(), Shape::Family { .. }).then(|| but_for(case, Key::ClientIp))
    }

    /// What both leave over, if they differ only in one value, which is the opposite of the other.
    pub(crate) fn open_beside(&self, other: &Self) -> Option<Open> {
        let (own, other) = (self.only_case()?, other.only_case()?);
        if !own
            .tests()
            .map(|(key, _)| key)
            .eq(other.tests().map(|(key, _)| key))
        {
            return None;
        }
        let pairs = own.tests().zip(other.tests());
        let mut different = pairs.filter(|((_, set), (_, other))| set != other);
        let ((key, set), (_, opposite)) = different.next()?;
        let only = different.next().is_none();
        (only && are_opposite(set, opposite)).then(|| but_for(own, key.clone()))
    }

    /// Whether the addresses that it asks for are those of IPv4.
    pub(crate) fn is_for_ipv4(&self) -> bool {
        let address = self.only_case().and_then(|case| case.test(&Key::ClientIp));
        address.is_some_and(|set| set.shape() == Shape::Family { is_v6: false })
    }

    /// Whether it asks for something of this key, whatever else it asks for.
    pub(crate) fn asks_for(&self, key: &Key) -> bool {
        let asks = |case: &Case| case.test(key).is_some_and(|set| !set.has_absent());
        self.cases.iter().all(asks)
    }
}

fn but_for(case: &Case, key: Key) -> Open {
    let rest = Guard::of_case(case.without(&key));
    Open { key, rest }
}

fn is_one_side(set: &Set) -> bool {
    match set.shape() {
        Shape::Is(value) => value.is_empty() || opposite(value).is_some(),
        Shape::Family { .. } => true,
        Shape::Absent | Shape::Exists | Shape::Other => false,
    }
}

/// A value and its opposite; or a value that is empty, which is not the same as none, and any.
fn are_opposite(one: &Set, other: &Set) -> bool {
    match (one.shape(), other.shape()) {
        (Shape::Is(a), Shape::Exists) | (Shape::Exists, Shape::Is(a)) => a.is_empty(),
        (Shape::Is(a), Shape::Is(b)) => {
            opposite(a).is_some_and(|other| other.as_bytes() == b.to_ascii_lowercase())
        }
        _ => false,
    }
}

fn opposite(value: &[u8]) -> Option<&'static str> {
    let value = value.to_ascii_lowercase();
    OPPOSITES.iter().find_map(|(a, b)| match () {
        () if a.as_bytes() == value => Some(*b),
        () if b.as_bytes() == value => Some(*a),
        () => None,
    })
}
