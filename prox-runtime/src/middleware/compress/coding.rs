//! Which coding a client wants (RFC 9110, 12.5.3).

/// A content coding, in the order in which they are taken where a client likes several as much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Zstd,
    Brotli,
    Gzip,
}

impl Coding {
    const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// Its name in `Content-Encoding`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    fn is(self, name: &[u8]) -> bool {
        name.eq_ignore_ascii_case(self.name().as_bytes())
            || self == Self::Gzip && name.eq_ignore_ascii_case(b"x-gzip")
    }
}

/// Chooses by the fields `Accept-Encoding` of a request; nothing if it should get the content as it is.
///
/// Items that are malformed do not count.
pub(crate) fn choose<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> Option<Coding> {
    let (mut listed, mut identity, mut others) = ([None; 3], None, None);
    for item in fields
        .into_iter()
        .flat_map(|field| field.split(|&byte| byte == b','))
    {
        let Some((name, weight)) = read(item) else {
            continue;
        };
        if name == b"*" {
            others = Some(weight);
        } else if name.eq_ignore_ascii_case(b"identity") {
            identity = Some(weight);
        } else if let Some(place) = Coding::ALL.iter().position(|coding| coding.is(name)) {
            // Of two that contradict each other the smaller is safe.
            let slot = &mut listed[place];
            *slot = Some(slot.map_or(weight, |before: u16| before.min(weight)));
        }
    }
    let mut best = None;
    for (coding, weight) in Coding::ALL.into_iter().zip(listed) {
        let weight = weight.or(others).unwrap_or(0);
        if weight > best.map_or(0, |(_, weight)| weight) {
            best = Some((coding, weight));
        }
    }
    let (coding, weight) = best?;
    (weight >= identity.unwrap_or(0)).then_some(coding)
}

/// The name of an item, and its weight in thousandths.
fn read(item: &[u8]) -> Option<(&[u8], u16)> {
    let mut parts = item.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let mut weight = 1000;
    for part in parts {
        let (key, value) = part.split_at_checked(2)?;
        if !key.eq_ignore_ascii_case(b"q=") {
            return None;
        }
        weight = thousandths(value)?;
    }
    Some((name, weight))
}

/// `1`, `0.5`, `0.123`, and no more digits (RFC 9110, 12.4.2).
fn thousandths(text: &[u8]) -> Option<u16> {
    let (whole, rest) = text.split_first()?;
    let digits = match rest {
        [] => rest,
        [b'.', digits @ ..] if digits.len() <= 3 => digits,
        _ => return None,
    };
    let mut weight = match whole {
        b'0' => 0,
        b'1' => 1000,
        _ => return None,
    };
    for (digit, place) in digits.iter().zip([100, 10, 1]) {
        let digit = digit.is_ascii_digit().then(|| u16::from(digit - b'0'))?;
        weight += digit * place;
    }
    (weight <= 1000).then_some(weight)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_coding_is_chosen_by_weight_and_then_by_order() {
        for (fields, chosen) in [
            (&[][..], None),
            (&[""], None),
            (&["gzip"], Some("gzip")),
            (&["GZip"], Some("gzip")),
            (&["x-gzip"], Some("gzip")),
            (&["gzip, deflate, br, zstd"], Some("zstd")),
            (&["gzip, deflate, br"], Some("br")),
            (&["gzip", "br"], Some("br")),
            (&["br;q=0.5, gzip;q=0.8"], Some("gzip")),
            (&["br;q=0.5, gzip;q=0.5"], Some("br")),
            (&["br ; q=0.5 , gzip ; Q=1.000"], Some("gzip")),
            (&["gzip;q=0"], None),
            (&["gzip;q=0.000, br;q=0"], None),
            (&["*"], Some("zstd")),
            (&["*;q=0.1, zstd;q=0"], Some("br")),
            (&["*;q=0"], None),
            (&["gzip, *;q=0"], Some("gzip")),
            (&["identity"], None),
            (&["identity;q=1, gzip;q=0.5"], None),
            (&["identity;q=0.5, gzip;q=0.5"], Some("gzip")),
            (&["identity;q=0"], None),
            (&["deflate, compress"], None),
            // Malformed ones do not count.
            (&["gzip;q=2"], None),
            (&["gzip;q=-1"], None),
            (&["gzip;q=1.001"], None),
            (&["gzip;q=0.1234"], None),
            (&["gzip;q="], None),
            (&["gzip;level=9"], None),
            (&[",,gzip;q=x, ,br;q=.5, zstd;q"], None),
            (&["gzip;q=1, gzip;q=0"], None),
        ] {
            let bytes = fields.iter().map(|field| field.as_bytes());
            let found = choose(bytes).map(Coding::name);
            assert_eq!(found, chosen, "{fields:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_what_is_chosen_is_named(bytes: Vec<u8>) {
            if let Some(coding) = choose([&*bytes]) {
                let text = bytes.to_ascii_lowercase();
                let named = |name: &str| text.windows(name.len()).any(|part| part == name.as_bytes());
                prop_assert!(named(coding.name()) || named("*"));
            }
        }
    }
}
