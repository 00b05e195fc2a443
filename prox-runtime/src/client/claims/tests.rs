use super::*;

fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

fn read(lines: &[(&'static str, &'static str)]) -> Claims {
    let trust = Trust::read(["10.0.0.0/8", "2001:db8::/32"]).expect("networks");
    Claims::read(&headers(lines), &trust)
}

/// The believed addresses of a list, joined by blanks.
fn chain(name: &'static str, lists: &[&'static str]) -> String {
    let lines: Vec<_> = lists.iter().map(|list| (name, *list)).collect();
    let chain: Vec<String> = read(&lines).chain.iter().map(ToString::to_string).collect();
    chain.join(" ")
}

#[test]
fn the_first_untrusted_address_from_the_right_is_the_client() {
    for (lists, believed) in [
        (&[][..], ""),
        (&["203.0.113.7"], "203.0.113.7"),
        (&["6.6.6.6, 203.0.113.7"], "203.0.113.7"),
        (&["6.6.6.6, 203.0.113.7, 10.0.0.2"], "203.0.113.7 10.0.0.2"),
        (
            &["6.6.6.6", "203.0.113.7,10.0.0.2", "10.0.0.3"],
            "203.0.113.7 10.0.0.2 10.0.0.3",
        ),
        (&["10.0.0.1, 10.0.0.2"], "10.0.0.1 10.0.0.2"),
        (
            &["203.0.113.7:4711, [2001:db8::5]:80, 2001:db8::6, [2001:db8::7]"],
            "203.0.113.7 2001:db8::5 2001:db8::6 2001:db8::7",
        ),
        (
            &["::ffff:203.0.113.7, ::ffff:10.0.0.2"],
            "203.0.113.7 10.0.0.2",
        ),
        (&[" , 203.0.113.7 ,, \t10.0.0.2 ,"], "203.0.113.7 10.0.0.2"),
    ] {
        assert_eq!(chain("x-forwarded-for", lists), believed, "{lists:?}");
    }
}

#[test]
fn what_is_malformed_ends_the_walk() {
    for (list, believed) in [
        ("unknown", ""),
        ("203.0.113.7, unknown", ""),
        ("203.0.113.7, unknown, 10.0.0.2", "10.0.0.2"),
        ("203.0.113.7, 10.0.0.256, 10.0.0.2", "10.0.0.2"),
        ("203.0.113.7, 010.0.0.1, 10.0.0.2", "10.0.0.2"),
        ("203.0.113.7, \"10.0.0.1\", 10.0.0.2", "10.0.0.2"),
        ("203.0.113.7, 10.0.0.1 10.0.0.9, 10.0.0.2", "10.0.0.2"),
        ("203.0.113.7, 10.0.0.1:99999, 10.0.0.2", "10.0.0.2"),
        ("203.0.113.7; 10.0.0.2", ""),
    ] {
        assert_eq!(chain("x-forwarded-for", &[list]), believed, "{list:?}");
    }
}

#[test]
fn the_walk_ends_after_so_many_entries_even_if_they_are_empty() {
    let trust = Trust::read(["10.0.0.0/8"]).expect("a network");
    for (entry, believed) in [("10.0.0.1,", MAX_ENTRIES - 1), (",", 0), (", ,", 0)] {
        for name in ["x-forwarded-for", "forwarded"] {
            let entry = if name == "forwarded" {
                entry.replace("10", "for=10")
            } else {
                entry.into()
            };
            let mut headers = HeaderMap::new();
            let list = format!("203.0.113.7,{}", entry.repeat(2000));
            headers.insert(name, HeaderValue::try_from(list).expect("a list"));
            assert_eq!(
                Claims::read(&headers, &trust).chain.len(),
                believed,
                "{name}: {entry}"
            );
        }
    }
}

#[test]
fn the_scheme_and_the_host_of_the_nearest_proxy_are_believed() {
    let claims = read(&[
        ("x-forwarded-proto", "http"),
        ("x-forwarded-proto", "http, HTTPS"),
        ("x-forwarded-host", "evil.test, shop.test:8443"),
    ]);
    assert_eq!(claims.secure, Some(true));
    assert_eq!(
        claims.host,
        Some(HeaderValue::from_static("shop.test:8443"))
    );
    for wrong in ["", "gopher", "https;", "https http"] {
        assert_eq!(
            read(&[("x-forwarded-proto", wrong)]).secure,
            None,
            "{wrong}"
        );
    }
    for wrong in ["", "a b", "a/b", "u@a", "\"a\"", "a,"] {
        assert_eq!(read(&[("x-forwarded-host", wrong)]).host, None, "{wrong}");
    }
}

#[test]
fn forwarded_is_read_when_it_is_all_there_is() {
    for (lists, believed) in [
        (&["for=203.0.113.7"][..], "203.0.113.7"),
        (
            &["For=203.0.113.7;proto=https , for=\"[2001:db8::5]:4711\"; by=10.0.0.9"],
            "203.0.113.7 2001:db8::5",
        ),
        (
            &["for=6.6.6.6", "for=203.0.113.7, for=10.0.0.2"],
            "203.0.113.7 10.0.0.2",
        ),
        (&["for=203.0.113.7, for=_hidden, for=10.0.0.2"], "10.0.0.2"),
        (&["for=203.0.113.7, for=unknown"], ""),
        (&["for=203.0.113.7, proto=https"], ""),
        (&["for=203.0.113.7, for=\"10.0.0.1"], ""),
        (&["for=203.0.113.7, \"for=10.0.0.1, for=10.0.0.2\""], ""),
        (&["for=203.0.113.7, for=10.0.0.1;x"], ""),
    ] {
        assert_eq!(chain("forwarded", lists), believed, "{lists:?}");
    }
    let claims = read(&[(
        "forwarded",
        "for=6.6.6.6;host=evil.test;proto=http, for=203.0.113.7;proto=https;host=\"shop.test:1\", for=10.0.0.2;proto=http",
    )]);
    assert_eq!(
        (claims.secure, claims.host),
        (Some(true), Some(HeaderValue::from_static("shop.test:1")))
    );
    let both = read(&[("forwarded", "for=6.6.6.6"), ("x-forwarded-proto", "https")]);
    assert!(both.chain.is_empty());
}

proptest::proptest! {
    #[test]
    fn no_list_panics_or_makes_an_address_of_an_untrusted_one_a_proxy(list in "([a-z0-9:.,;=\"\\\\ \\[\\]]|for=|10\\.0\\.0\\.1|1\\.1\\.1\\.1){0,40}") {
        let trust = Trust::read(["10.0.0.0/8"]).expect("a network");
        for name in ["x-forwarded-for", "forwarded"] {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::try_from(&list).expect("a value"));
            let claims = Claims::read(&headers, &trust);
            for proxy in claims.chain.iter().skip(1) {
                proptest::prop_assert!(trust.has(Some(*proxy)));
            }
        }
    }
}
