//! A set of request methods as bits.

use std::fmt;

use http::Method;

/// A set of request methods, one bit each, with one more for every method that has no bit of its own.
///
/// The nine methods of RFC 9110 and RFC 5789 have fixed bits. The bits above [`OTHER`](Self::OTHER) are for methods that a gateway
/// names beyond these; its [`Table`](crate::route::Table) knows which bit means which method.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use http::Method;
/// # use prox_runtime::Methods;
///
/// let read = Methods::of(&Method::GET).union(Methods::of(&Method::HEAD));
/// assert!(read.contains(Methods::of(&Method::HEAD)));
/// assert_eq!(read.to_string(), "GET, HEAD");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Methods(u32);

/// The methods that have a bit of their own; a method's place is its bit.
const NAMES: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];

impl Methods {
    /// No method.
    pub const NONE: Self = Self(0);
    /// Every method, those without a bit of their own included.
    pub const ALL: Self = Self(0x7fff_ffff);
    /// What stands for a method without a bit of its own.
    pub const OTHER: Self = Self(0x200);
    /// How many methods beyond the nine a gateway can name.
    pub const MOST_OWN: usize = 21;

    /// The set with these bits; bits beyond [`ALL`](Self::ALL) are dropped.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// The bits of the set.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The set of one method.
    #[inline]
    pub fn of(method: &Method) -> Self {
        match *method {
            Method::GET => Self(1),
            Method::HEAD => Self(1 << 1),
            Method::POST => Self(1 << 2),
            Method::PUT => Self(1 << 3),
            Method::DELETE => Self(1 << 4),
            Method::CONNECT => Self(1 << 5),
            Method::OPTIONS => Self(1 << 6),
            Method::TRACE => Self(1 << 7),
            Method::PATCH => Self(1 << 8),
            _ => Self::OTHER,
        }
    }

    /// The set of one method, where `own` are the methods beyond the nine that a gateway names.
    #[inline]
    pub(crate) fn of_named(method: &Method, own: &[&str]) -> Self {
        let found = Self::of(method);
        if found != Self::OTHER || own.is_empty() {
            return found;
        }
        let place = own.iter().position(|name| *name == method.as_str());
        place.map_or(Self::OTHER, |place| Self(Self::OTHER.0 << (place + 1)))
    }

    /// The set of a gateway that names these methods beyond the nine, as one that names those has it. Every method is every method.
    pub(super) fn renamed(self, own: &[&str], others: &[&str]) -> Self {
        let fixed = Self(Self::OTHER.0 - 1);
        if self == Self::ALL || fixed.contains(self) {
            return self;
        }
        let has = |place: usize| self.contains(Self(Self::OTHER.0 << (place + 1)));
        let names = own.iter().enumerate().filter(|(place, _)| has(*place));
        let places = names.filter_map(|(_, name)| others.iter().position(|other| other == name));
        places.fold(Self(self.0 & fixed.0), |all, place| {
            all.union(Self(Self::OTHER.0 << (place + 1)))
        })
    }

    /// Whether all of `other` is in the set.
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether there is no method in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The methods of both sets.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The methods of this set that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The names of the methods that have one, in a fixed order: what `Allow` lists.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.names_with(&[])
    }

    /// The same, with the methods beyond the nine that a gateway names.
    pub(crate) fn names_with(
        self,
        own: &'static [&'static str],
    ) -> impl Iterator<Item = &'static str> {
        let fixed = NAMES.iter().enumerate();
        let own = own.iter().enumerate();
        fixed
            .chain(own.map(|(place, name)| (place + NAMES.len() + 1, name)))
            .filter(move |(bit, _)| self.0 & (1 << bit) != 0)
            .map(|(_, name)| *name)
    }
}

/// The form of the `Allow` header.
impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, name) in self.names().enumerate() {
            if place > 0 {
                f.write_str(", ")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Methods({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_method_has_its_own_bit() {
        let mut all = Methods::NONE;
        for name in NAMES {
            let one = Methods::of(&Method::from_bytes(name.as_bytes()).unwrap());
            assert_eq!(one.names().collect::<Vec<_>>(), [name]);
            assert!(!all.contains(one));
            all = all.union(one);
        }
        assert!(Methods::ALL.contains(all.union(Methods::OTHER)));
    }

    #[test]
    fn a_method_that_the_gateway_names_has_a_bit_of_its_own() {
        const OWN: &[&str] = &["REPORT", "PURGE"];
        let of = |name: &str| Methods::of_named(&name.parse().unwrap(), OWN);
        let (report, purge) = (of("REPORT"), of("PURGE"));
        assert_ne!(report, purge);
        assert_eq!(of("QUERY"), Methods::OTHER);
        assert_eq!(of("GET"), Methods::of(&Method::GET));
        assert_eq!(of("purge"), Methods::OTHER, "methods are case-sensitive");
        let both = report.union(of("GET")).names_with(OWN);
        assert_eq!(both.collect::<Vec<_>>(), ["GET", "REPORT"]);
        assert!(Methods::ALL.contains(purge));
        assert_eq!(purge.to_string(), "");
        let last = Methods::from_bits(Methods::OTHER.bits() << Methods::MOST_OWN);
        assert!(!last.is_empty() && Methods::ALL.contains(last));
    }

    #[test]
    fn a_method_without_a_bit_is_other() {
        let purge = Methods::of(&Method::from_bytes(b"PURGE").unwrap());
        assert_eq!(purge, Methods::OTHER);
        assert_eq!(purge.to_string(), "");
        assert!(Methods::ALL.contains(purge));
    }
}
