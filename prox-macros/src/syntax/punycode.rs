//! International names of hosts in the form that is on the wire (RFC 3492).

/// Every label in lower case, and in its encoded form where it is not ASCII.
pub(crate) fn encoded_host(host: &str) -> String {
    let labels: Vec<String> = host
        .to_lowercase()
        .split('.')
        .map(|label| {
            if label.is_ascii() {
                label.to_owned()
            } else {
                format!("xn--{}", encode(label))
            }
        })
        .collect();
    labels.join(".")
}

const BASE: u32 = 36;
const T_MIN: u32 = 1;
const T_MAX: u32 = 26;

/// The procedure of RFC 3492, 6.3, with its names.
fn encode(label: &str) -> String {
    let mut output: String = label.chars().filter(char::is_ascii).collect();
    let basic = u32::try_from(output.len()).unwrap_or(u32::MAX);
    let total = u32::try_from(label.chars().count()).unwrap_or(u32::MAX);
    if basic > 0 {
        output.push('-');
    }
    let (mut n, mut delta, mut bias, mut handled) = (128_u32, 0_u32, 72_u32, basic);
    while handled < total {
        let next = label.chars().map(u32::from).filter(|c| *c >= n).min();
        let Some(next) = next else {
            break;
        };
        delta = delta.saturating_add((next - n).saturating_mul(handled + 1));
        n = next;
        for c in label.chars().map(u32::from) {
            if c < n {
                delta = delta.saturating_add(1);
            }
            if c == n {
                push_number(&mut output, delta, bias);
                bias = adapt(delta, handled + 1, handled == basic);
                delta = 0;
                handled += 1;
            }
        }
        delta = delta.saturating_add(1);
        n = n.saturating_add(1);
    }
    output
}

fn push_number(output: &mut String, delta: u32, bias: u32) {
    let mut q = delta;
    let mut k = BASE;
    loop {
        let t = k.saturating_sub(bias).clamp(T_MIN, T_MAX);
        if q < t {
            output.push(digit(q));
            return;
        }
        output.push(digit(t + (q - t) % (BASE - t)));
        q = (q - t) / (BASE - t);
        k += BASE;
    }
}

fn adapt(delta: u32, points: u32, first: bool) -> u32 {
    let mut delta = if first { delta / 700 } else { delta / 2 };
    delta = delta.saturating_add(delta / points);
    let mut k = 0;
    while delta > (BASE - T_MIN) * T_MAX / 2 {
        delta /= BASE - T_MIN;
        k += BASE;
    }
    k + (BASE - T_MIN + 1) * delta / (delta + 38)
}

fn digit(value: u32) -> char {
    let byte = match u8::try_from(value) {
        Ok(value @ 0..=25) => b'a' + value,
        Ok(value @ 26..=35) => b'0' + value - 26,
        _ => b'?',
    };
    char::from(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_are_encoded() {
        assert_eq!(encoded_host("bücher.example"), "xn--bcher-kva.example");
        assert_eq!(encoded_host("münchen.de"), "xn--mnchen-3ya.de");
        assert_eq!(encoded_host("日本語.jp"), "xn--wgv71a119e.jp");
        assert_eq!(
            encoded_host("пример.испытание"),
            "xn--e1afmkfd.xn--80akhbyknj4f"
        );
    }
}
