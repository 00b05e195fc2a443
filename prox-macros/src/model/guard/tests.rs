use std::fmt::Write as _;

use proptest::prelude::*;
use prox_runtime::{Guard as _, client_ip, cookie, header, query};

use super::*;
use crate::{diag::Diagnostics, syntax::cursor::tokens_of};

fn read_with(source: &str) -> (Guard, Vec<String>) {
    let mut diag = Diagnostics::default();
    let guard = read(&tokens_of(source.parse().unwrap()), &mut diag);
    let messages = diag.messages().into_iter().map(str::to_owned).collect();
    (guard, messages)
}

fn guard(source: &str) -> Guard {
    let (guard, messages) = read_with(source);
    assert!(messages.is_empty(), "{source}: {messages:?}");
    guard
}

#[test]
fn what_implies_another_is_more_specific() {
    let cases = [
        (r#"header("x").is("12")"#, r#"header("X").starts_with("1")"#),
        (
            r#"header("x").starts_with("12")"#,
            r#"header("x").starts_with("1")"#,
        ),
        (r#"query("x").starts_with("1")"#, r#"query("x").exists()"#),
        (r#"query("x").is("")"#, r#"query("x").exists()"#),
        (r#"cookie("a").exists()"#, r#"header("cookie").exists()"#),
        (
            r#"client_ip().within("10.1.0.0/16")"#,
            r#"client_ip().within("10.0.0.0/8")"#,
        ),
        (
            r#"client_ip().within("::1")"#,
            r#"client_ip().within("::/0")"#,
        ),
        (
            r#"header("x").is("1").and(cookie("y").exists())"#,
            r#"cookie("y").exists()"#,
        ),
        (
            r#"header("x").exists().and(cookie("y").exists().and(query("z").is("1")))"#,
            r#"query("z").exists().and(header("x").exists())"#,
        ),
        (
            r#"header("x").is("1").and(closure)"#,
            r#"header("x").is("1")"#,
        ),
        (r#"header("x").is(VALUE)"#, r#"header("x").exists()"#),
    ];
    for (narrow, wide) in cases {
        let (a, b) = (guard(narrow), guard(wide));
        assert!(a.implies(&b) && !b.implies(&a), "{narrow} {wide}");
        assert_eq!(a.specificity(&b), Ordering::Greater, "{narrow} {wide}");
        assert_eq!(a.relation(&b), Relation::Apart);
    }
}

#[test]
fn what_is_written_differently_can_be_the_same() {
    let cases = [
        (r#"header("X-Beta").is("1")"#, r#"header("x-beta").is("1")"#),
        (
            r#"query("x").is("1").and(query("x").exists())"#,
            r#"query("x").is("1")"#,
        ),
        (
            r#"client_ip().within("10.0.0.1/32")"#,
            r#"client_ip().within("10.0.0.1")"#,
        ),
        (
            r#"cookie("a").exists().and(header("cookie").exists())"#,
            r#"cookie("a").exists()"#,
        ),
    ];
    for (a, b) in cases {
        assert_eq!(guard(a).relation(&guard(b)), Relation::Same, "{a} {b}");
    }
}

#[test]
fn what_excludes_each_other_is_apart_and_what_does_not_overlaps() {
    let cases = [
        (
            r#"header("x").is("1")"#,
            r#"header("x").is("2")"#,
            Relation::Apart,
        ),
        (
            r#"header("x").is("1")"#,
            r#"header("x").starts_with("2")"#,
            Relation::Apart,
        ),
        (
            r#"query("x").starts_with("a")"#,
            r#"query("x").starts_with("b")"#,
            Relation::Apart,
        ),
        (
            r#"client_ip().within("10.0.0.0/8")"#,
            r#"client_ip().within("11.0.0.0/8")"#,
            Relation::Apart,
        ),
        (
            r#"client_ip().within("0.0.0.0/0")"#,
            r#"client_ip().within("::/0")"#,
            Relation::Apart,
        ),
        (r#"header("x").is("1")"#, "closure", Relation::Apart),
        (
            r#"header("x").is("1")"#,
            r#"header("y").is("1")"#,
            Relation::Overlap,
        ),
        (
            r#"header("x").is("1")"#,
            r#"query("x").is("1")"#,
            Relation::Overlap,
        ),
        (
            r#"cookie("x").exists()"#,
            r#"client_ip().within("::/0")"#,
            Relation::Overlap,
        ),
        (
            r#"header("x").is("1").and(closure)"#,
            r#"header("y").is("1")"#,
            Relation::Apart,
        ),
    ];
    for (a, b, relation) in cases {
        let (a, b) = (guard(a), guard(b));
        assert_eq!(a.relation(&b), relation, "{a:?} {b:?}");
        assert_eq!(b.relation(&a), relation, "{a:?} {b:?}");
    }
}

#[test]
fn what_is_not_known_is_opaque() {
    for source in [
        "g",
        "|req: &Parts| true",
        r#"header("x").not("1")"#,
        r#"header("x").is("1").xor(g)"#,
        r#"header("x").is("1").not(g)"#,
        r#"(g).or(header("x").is("1"))"#,
        "closure.not()",
        r#"header("x").is("1") || g"#,
        r#"header(NAME).is("1")"#,
        r#"mine::header("x").is("1")"#,
        r#"header("x").exists("1")"#,
        r#"header("x").is()"#,
        r#"header["x"].is("1")"#,
        "client_ip().within(NETWORK)",
        r#"header("x")"#,
        "",
    ] {
        assert_eq!(guard(source), Guard::unknown(), "{source}");
    }
}

#[test]
fn literals_that_no_request_can_have_are_refused() {
    let cases = [
        (r#"header("").exists()"#, "the name of a header is empty"),
        (
            r#"header("x beta").is("1")"#,
            "a space is not allowed in the name of a header",
        ),
        (
            r#"header("x-beta:").is(VALUE)"#,
            "`:` is not allowed in the name of a header",
        ),
        (
            r#"header("x").is("a\nb")"#,
            "`\\n` is not allowed in the value of a header",
        ),
        (
            r#"header("x").is("1 ")"#,
            "spaces around the value of a header are not part of it",
        ),
        (
            r#"header("Cookie").is("a=1")"#,
            "the `cookie` header contains all cookies of a request",
        ),
        (
            r#"query("a=b").exists()"#,
            "`=` is not allowed in the name of a parameter",
        ),
        (
            r#"query("q").is("é")"#,
            "`é` is not allowed in the value of a query",
        ),
        (
            r#"cookie("a;b").exists()"#,
            "`;` is not allowed in the name of a cookie",
        ),
        (
            r#"cookie("a").is("b;c")"#,
            "`;` is not allowed in the value of a cookie",
        ),
        (
            r#"client_ip().within("10.0.0/8")"#,
            "`10.0.0` is not an IP address",
        ),
        (
            r#"client_ip().within("10.0.0.0/33")"#,
            "`33` is not a prefix length",
        ),
        (
            r#"client_ip().within("10.0.0.1/8")"#,
            "`10.0.0.1/8` has bits set after its prefix",
        ),
        (
            r#"client_ip().within("::ffff:10.0.0.0/104")"#,
            "IPv4 clients never have an IPv4-mapped IPv6 address here",
        ),
        (
            r#"header("x").is("1").and(header("x").is("2"))"#,
            "this guard and what comes before it never accept the same request",
        ),
        (r#"closure_free("x").is("1")"#, ""),
    ];
    for (source, wanted) in cases {
        let (guard, messages) = read_with(source);
        let first = messages.first().and_then(|m| m.lines().next());
        assert_eq!(first.unwrap_or_default(), wanted, "{source}");
        assert!(messages.len() < 2 && guard.is_opaque(), "{source}");
    }
    let (_, messages) = read_with(r#"query("a b").is("1")"#);
    assert!(
        messages[0].ends_with("help: write it as clients send it: `a%20b`"),
        "{messages:?}"
    );
}

#[test]
fn a_request_without_cookies_lacks_each_cookie() {
    let none = guard(r#"header("cookie").absent()"#);
    let lacks = guard(r#"cookie("c").absent()"#);
    assert!(none.is_covered(&[&lacks]));
    assert!(none.is_covered(&[&guard(r#"cookie("c").absent().and(cookie("d").absent())"#)]));
    assert!(!lacks.is_covered(&[&none]));
    assert!(!none.is_covered(&[&guard(r#"query("c").absent()"#)]));
}

#[test]
fn a_network_is_covered_by_its_halves_alone() {
    let net = |text: &str| guard(&format!("client_ip().within({text:?})"));
    let all = net("10.0.0.0/8");
    let (low, high, quarter) = (net("10.0.0.0/9"), net("10.128.0.0/9"), net("10.128.0.0/10"));
    assert!(all.is_covered(&[&low, &high]));
    assert!(!all.is_covered(&[&low, &quarter]));
    assert!(all.is_covered(&[&quarter, &low, &net("10.192.0.0/10")]));
    let beta = guard(r#"header("x").is("1").and(client_ip().within("10.0.0.0/8"))"#);
    assert!(beta.is_covered(&[&low, &high]));
    assert!(!Guard::default().is_covered(&[&net("0.0.0.0/0"), &net("::/0")]));
    assert!(!net("10.0.0.1").is_covered(&[&net("10.0.0.2")]));
}

#[test]
fn alternatives_and_negations_have_one_form() {
    let cases = [
        (
            r#"header("x").is("1").or(header("x").is("2"))"#,
            r#"header("x").one_of(["2", "1"])"#,
        ),
        (r#"header("x").exists().not()"#, r#"header("x").absent()"#),
        (
            r#"cookie("c").is("1").not().not()"#,
            r#"cookie("c").is("1")"#,
        ),
        (
            r#"header("cookie").exists().not()"#,
            r#"header("cookie").absent()"#,
        ),
        (
            r#"client_ip().within("10.0.0.0/9").or(client_ip().within("10.128.0.0/9"))"#,
            r#"client_ip().within("10.0.0.0/8")"#,
        ),
        (
            r#"header("x").exists().or(query("q").exists()).not()"#,
            r#"query("q").absent().and(header("x").absent())"#,
        ),
        (
            r#"(header("x").is("1")).or(header("x").is("1").not().and(query("q").exists()))"#,
            r#"query("q").exists().or(header("x").is("1"))"#,
        ),
        (
            r#"query("q").is("1").and(header("cookie").absent()).or(query("q").is("1").and(cookie("c").is("1")))
               .or(query("q").is("1").and(header("cookie").exists()).and(cookie("c").is("1").not()))"#,
            r#"query("q").is("1")"#,
        ),
        (
            r#"query("q").is("1").and(header("cookie").exists()).or(query("q").is("1").and(cookie("c").absent()))"#,
            r#"query("q").is("1")"#,
        ),
    ];
    for (a, b) in cases {
        let (a, b) = (guard(a), guard(b));
        assert_eq!(a, b);
        assert_eq!(a.relation(&b), Relation::Same);
    }
}

#[test]
fn alternatives_with_what_is_not_known_are_known_in_part() {
    let x = guard(r#"header("x").is("1")"#);
    let either = guard(r#"header("x").is("1").or(closure)"#);
    assert!(either.is_opaque() && x.implies(&either) && !either.implies(&x));
    assert_eq!(x.specificity(&either), Ordering::Greater);
    // Whatever the closure says, without the header none is refused.
    let not = guard(r#"header("x").exists().and(closure).not()"#);
    assert!(guard(r#"header("x").absent()"#).implies(&not));
    assert!(!x.implies(&not) && not.is_opaque());
    let not = guard(r#"header("x").is(VALUE).not()"#);
    assert!(guard(r#"header("x").absent()"#).implies(&not));
    assert!(!x.implies(&not) && not.is_opaque());
}

#[test]
fn alternatives_in_vain_are_refused() {
    let cases = [
        (
            r#"header("x").exists().or(header("x").is("1"))"#,
            "this alternative adds nothing: the guard before it accepts the same requests, or more",
        ),
        (
            r#"header("x").is("1").or(header("X").is("1"))"#,
            "this alternative adds nothing: the guard before it accepts the same requests, or more",
        ),
        (
            r#"header("x").is("1").or(header("x").exists())"#,
            "this alternative accepts all that the guard before it accepts",
        ),
        (
            r#"header("x").exists().or(header("x").absent())"#,
            "this guard and what comes before it accept every request together",
        ),
        (
            r#"header("x").exists().and(header("x").is("1").or(query("q").exists()).not().and(query("q").exists()))"#,
            "this guard and what comes before it never accept the same request",
        ),
    ];
    for (source, wanted) in cases {
        let (guard, messages) = read_with(source);
        let first = messages.first().and_then(|m| m.lines().next());
        assert_eq!(first, Some(wanted), "{source}");
        assert!(messages.len() == 1 && guard.is_hole(), "{source}");
    }
}

#[test]
fn what_has_too_many_alternatives_is_not_decided() {
    let mut source = String::from(r#"header("a0").is("0").and(query("b0").is("0"))"#);
    for number in 1..90 {
        let _ = write!(
            source,
            r#".or(header("a{number}").is("{number}").and(query("b{number}").is("1")))"#
        );
    }
    assert!(guard(&source).is_opaque());
}

const NETWORKS: [&str; 12] = [
    "10.0.0.0/8",
    "10.0.0.1/8",
    "10.1.2.3",
    "10.0.0.0/",
    "10.0.0.0/33",
    "::/0",
    "::ffff:1.2.3.4",
    "::ffff:0.0.0.0/96",
    "2001:db8::/32",
    "2001:db8::1/32",
    "x",
    "0.0.0.0/0",
];

#[test]
fn the_runtime_refuses_the_same_networks_and_names() {
    for text in NETWORKS {
        assert_eq!(
            Network::parse(text).is_ok(),
            client_ip().within(text).check().is_ok(),
            "{text}"
        );
    }
    for name in ["", "a b", "x-a", "a;b", "a=b"] {
        let refused = |word: &str| {
            !read_with(&format!("{word}({name:?}).exists()"))
                .1
                .is_empty()
        };
        assert_eq!(
            refused("header"),
            header(name).exists().check().is_err(),
            "{name}"
        );
        assert!(
            refused("query") || query(name).exists().check().is_ok(),
            "{name}"
        );
        assert!(
            refused("cookie") || cookie(name).exists().check().is_ok(),
            "{name}"
        );
    }
}

#[test]
fn networks_lie_as_their_addresses_do() {
    let [all, low, high] =
        ["128.0.0.0/1", "128.0.0.0/2", "192.0.0.0/2"].map(|text| Network::parse(text).unwrap());
    let [all, low, high] = [all, low, high].map(Set::within);
    assert_eq!(low.example(), Some(String::from("128.0.0.0")));
    assert!(low.is_within(&all) && high.is_within(&all) && !low.meets(&high));
    assert_eq!(low.or(&high), all);
    let last = Set::within(Network::parse("ffff::/16").unwrap());
    let before = Set::within(Network::parse("::/1").unwrap());
    assert!(!last.meets(&before) && !last.meets(&all));
    assert!(last.contains(&Point::Address {
        is_v6: true,
        bits: u128::MAX
    }));
}

const GUARDS: [&str; 9] = [
    r#"header("x").is("a")"#,
    r#"header("x").is("b")"#,
    r#"header("x").starts_with("a")"#,
    r#"header("x").exists()"#,
    r#"header("cookie").exists()"#,
    r#"cookie("c").is("a")"#,
    r#"cookie("c").exists()"#,
    r#"query("q").starts_with("aa")"#,
    r#"query("q").is("aa")"#,
];

fn any_guard() -> impl Strategy<Value = Option<Guard>> {
    prop::collection::vec(prop::sample::select(&GUARDS[..]), 1..4).prop_map(|parts| {
        let mut parts = parts.into_iter().map(guard);
        let first = parts.next()?;
        parts.try_fold(first, |all, part| all.common(&part))
    })
}

proptest! {
    #[test]
    fn implication_agrees_with_the_order_and_with_what_is_common(a in any_guard(), b in any_guard()) {
        if let (Some(a), Some(b)) = (a, b) {
            prop_assert_eq!(a.common(&b), b.common(&a));
            if let Some(both) = a.common(&b) {
                prop_assert!(both.implies(&a) && both.implies(&b));
            }
            if a.implies(&b) && !b.implies(&a) {
                prop_assert_eq!(a.specificity(&b), Ordering::Greater);
                prop_assert_eq!(a.common(&b), Some(a.clone()));
            }
            prop_assert_eq!(a.implies(&b) && b.implies(&a), a == b);
        }
    }

    #[test]
    fn no_network_panics(text in "[0-9a-f.:/]{0,20}") {
        let _ = Network::parse(&text);
    }
}
