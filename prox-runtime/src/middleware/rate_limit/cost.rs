//! What a request costs: known before it goes on, or told by its response.

use std::{fmt, sync::Arc};

use http::HeaderName;

use crate::handler::{Parts, Response};

/// What is taken before a request goes on.
#[derive(Clone)]
pub(super) enum Cost {
    Fixed(u32),
    By(Arc<dyn Fn(&Parts) -> u32 + Send + Sync>),
}

impl Cost {
    pub(super) fn of(&self, req: &Parts) -> u32 {
        match self {
            Self::Fixed(cost) => *cost,
            Self::By(cost) => cost(req),
        }
    }
}

impl fmt::Debug for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(cost) => write!(f, "{cost}"),
            Self::By(_) => f.write_str("a function"),
        }
    }
}

/// What is taken when the head of the response is there.
#[derive(Clone)]
pub(super) enum Charge {
    Header(HeaderName),
    By(Arc<dyn Fn(&Response) -> u32 + Send + Sync>),
}

impl Charge {
    /// Reads it off a response. The field is for the gateway alone.
    pub(super) fn take(&self, response: &mut Response) -> u32 {
        let name = match self {
            Self::By(charge) => return charge(response),
            Self::Header(name) => name,
        };
        let headers = response.headers_mut();
        let values = headers.get_all(name).iter();
        let costs = values.filter_map(|value| number(value.as_bytes()));
        let cost = costs.max().unwrap_or(0);
        headers.remove(name);
        cost
    }
}

/// Decimal digits; what is more than a bucket can hold is as good as the most.
fn number(text: &[u8]) -> Option<u32> {
    let text = text.trim_ascii();
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u32, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u32::from(byte - b'0'))?;
        Some(number.saturating_mul(10).saturating_add(digit))
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::body::Body;

    #[test]
    fn a_cost_is_digits_and_the_field_is_removed() {
        let charge = Charge::Header(HeaderName::from_static("x-cost"));
        for (fields, cost) in [
            (&["7"][..], 7),
            (&[" 7 "], 7),
            (&["007"], 7),
            (&["4294967296"], u32::MAX),
            (&["7", "9", "8"], 9),
            (&["x", "8"], 8),
            (&["-1"], 0),
            (&["+1"], 0),
            (&["1.5"], 0),
            (&["1, 2"], 0),
            (&[""], 0),
            (&[], 0),
        ] {
            let mut response = Response::new(Body::empty());
            for field in fields {
                let field = HeaderValue::from_static(field);
                response.headers_mut().append("x-cost", field);
            }
            assert_eq!(charge.take(&mut response), cost, "{fields:?}");
            assert!(response.headers().is_empty());
        }
    }
}
