use super::*;

/// What stands around the `@` of a text.
pub(crate) fn around(text: &str) -> Around {
    let offset = text.find('@').expect("a place");
    let text = text.replacen('@', " ", 1);
    Around::at(&text, &lex::of_text(&text), offset)
}

#[test]
fn names_that_nothing_around_can_have_are_known() {
    for text in [
        "prox::gateway! {@}",
        "use prox::middleware::{Recover, RequestId as Id}; prox::gateway! {@}",
        "use std::collections::*; fn main() { println!(); prox::gateway! {@} }",
        "fn f() { use prox::middleware::RateLimit; } prox::gateway! {@}",
        "use prox::middleware::RateLimit; mod m { prox::gateway! {@} }",
        "use super::*; mod m { prox::gateway! {@} }",
    ] {
        assert!(around(text).lacks("RateLimit"), "{text}");
    }
    for text in [
        "use prox::middleware::RateLimit; prox::gateway! {@}",
        "use prox::middleware::{Recover, RateLimit}; fn main() { prox::gateway! {@} }",
        "use prox::middleware::*; prox::gateway! {@}",
        "use mine::RateLimit; prox::gateway! {@}",
        "use mine::Limit as RateLimit; prox::gateway! {@}",
        "struct RateLimit; prox::gateway! {@}",
        "fn main() { struct RateLimit; prox::gateway! {@} }",
        "fn main() { prox::gateway! {@} use a::RateLimit; }",
        // What these bring the text does not tell.
        "use mine::*; prox::gateway! {@}",
        "use prox::{middleware::*, Request}; prox::gateway! {@}",
        "mod m { use super::*; prox::gateway! {@} }",
        "types! { RateLimit } prox::gateway! {@}",
        "#[cfg(unix)] use mine::RateLimit; prox::gateway! {@}",
        "#[cfg(unix)] struct RateLimit; prox::gateway! {@}",
        "macro_rules! m { () => { prox::gateway! {@} } }",
    ] {
        assert!(!around(text).lacks("RateLimit"), "{text}");
    }
    assert!(!Around::default().lacks("RateLimit"));
}

#[test]
fn types_of_the_user_are_told_from_those_of_prox() {
    for (text, own) in [
        ("use prox::middleware::Jwt; prox::gateway! {@}", false),
        (
            "use prox::{middleware::{Basic, Jwt}}; prox::gateway! {@}",
            false,
        ),
        ("use gateways::middleware::*; prox::gateway! {@}", false),
        ("use gateways::middleware::Jwt; prox::gateway! {@}", false),
        ("prox::gateway! {@}", false),
        ("struct Jwt; prox::gateway! {@}", true),
        ("use crate::auth::Jwt; prox::gateway! {@}", true),
        ("use mine::Claims as Jwt; prox::gateway! {@}", true),
    ] {
        assert_eq!(around(text).is_own_type("Jwt"), own, "{text}");
    }
}

#[test]
fn values_that_are_seen_are_known() {
    for text in [
        "fn f() { let public = Mine; prox::gateway! {@} }",
        "fn f(public: Mine) { prox::gateway! {@} }",
        "async fn public(req: Request, next: Next) -> Response {} prox::gateway! {@}",
        "const public: Mine = Mine; prox::gateway! {@}",
        "use mine::public; prox::gateway! {@}",
    ] {
        assert!(around(text).has_value("public"), "{text}");
    }
    for text in [
        "prox::gateway! {@}",
        "struct public {} prox::gateway! {@}",
        "fn f() { prox::gateway! {@} } fn g(public: Mine) {}",
    ] {
        assert!(!around(text).has_value("public"), "{text}");
    }
}

fn is_local(text: &str) -> bool {
    around(text).local("rr").is_some()
}

#[test]
fn variables_that_are_seen_are_known() {
    for text in [
        "fn f() { let rr = Mine; prox::gateway! {@} }",
        "fn f() { let rr: Mine = Mine; prox::gateway! {@} }",
        "fn f() { let (a, mut rr) = x; g(prox::gateway! {@}) }",
        "fn f() { let S { a: rr, .. } = x; let g = prox::gateway! {@}; }",
        "fn f() { let S { rr, .. } = x; let g = prox::gateway! {@}; }",
        "fn f() { let Some(rr) = x else { return }; prox::gateway! {@} }",
        "async fn f<T: A<u8>>(a: HashMap<A, B>, rr: T) -> R where T: X { loop { prox::gateway! {@} } }",
        "fn f((a, rr): (A, B)) { prox::gateway! {@} }",
        "fn f() { g(|rr| prox::gateway! {@}) }",
        "fn f() { g(move |a: A, rr: B| { let x = 1; prox::gateway! {@} }) }",
        "fn f() { let g = async move |rr| { prox::gateway! {@} }; }",
        "fn f() { for rr in all { prox::gateway! {@} } }",
        "fn f() { for (i, rr) in all.iter().enumerate() { prox::gateway! {@} } }",
        "fn f() { if let Some(rr) = x { prox::gateway! {@} } }",
        "fn f() { if a && let Some(rr) = x && b { prox::gateway! {@} } }",
        "fn f() { while let Some(rr) = x() { prox::gateway! {@} } }",
        "fn f() { match x { Some(rr) if y => prox::gateway! {@}, _ => z } }",
        "fn f() { match x { A => {} B { rr } => { prox::gateway! {@} } } }",
        "fn f() { const rr: X = X; prox::gateway! {@} }",
        "fn f() { prox::gateway! {@} fn rr(a: A) {} }",
        "fn f() { static rr: X = X; fn g() { prox::gateway! {@} } }",
        "mod m { impl X { fn f(&self, rr: X) { self.g(prox::gateway! {@}) } } }",
        "fn f() { let rr = |a| a; assert!(prox::gateway! {@}.is_ok()); }",
        "fn f() { // let x\n let r#rr = 1; prox::gateway! {@} }",
    ] {
        assert!(is_local(text), "{text}");
    }
}

#[test]
fn variables_that_are_not_seen_are_not_known() {
    for text in [
        "fn f() { let g = prox::gateway! {@}; let rr = 1; }",
        "fn f() { let rr = prox::gateway! {@}; }",
        "fn f() { { let rr = 1; } prox::gateway! {@} }",
        "fn f() { let g = |rr| 1; prox::gateway! {@} }",
        "fn f() { g(|rr| 1, prox::gateway! {@}) }",
        "fn f() { if let Some(rr) = x { y } else { prox::gateway! {@} } }",
        "fn f() { if let Some(rr) = x { y } prox::gateway! {@} }",
        "fn f() { for rr in x { y } prox::gateway! {@} }",
        "fn f() { match x { Some(rr) => y, _ => prox::gateway! {@} } }",
        "fn f() { match x { Some(rr) => { y } _ => prox::gateway! {@} } }",
        "fn f(rr: X) { fn g() { prox::gateway! {@} } }",
        "fn f() { let rr = 1; mod m { fn g() { prox::gateway! {@} } } }",
        "fn f() { let x = \"let rr = 1;\"; /* let rr = 1; */ prox::gateway! {@} }",
        "fn f() { prox::gateway! { backend a = cluster(rr, [x]); } prox::gateway! {@} }",
        "fn f() { let S { rr: other } = x; prox::gateway! {@} }",
        "fn f() { let a = x | rr; let b = y || rr; prox::gateway! {@} }",
        "fn rr() {} fn f() { prox::gateway! {@} }",
        "const rr: X = X; prox::gateway! {@}",
        "impl X { fn rr() {} fn f() { prox::gateway! {@} } }",
        "macro_rules! m { ($rr:expr) => { let rr = 1; prox::gateway! {@} } }",
        "fn f() { let x: fn(rr: u8) = y; prox::gateway! {@} }",
        "prox::gateway! {@}",
        "@",
        "",
    ]
    .iter()
    .filter(|text| text.contains('@'))
    {
        assert!(!is_local(text), "{text}");
    }
}

#[test]
fn functions_are_known_by_what_they_take() {
    for (text, arguments, is_async) in [
        (
            "fn rr(a: A, b: B<C, D>) {} fn f() { prox::gateway! {@} }",
            2,
            false,
        ),
        ("pub async fn rr(_: A) {} prox::gateway! {@}", 1, true),
        (
            "fn f() { let rr = |a: u8, b| a; prox::gateway! {@} }",
            2,
            false,
        ),
        (
            "fn f() { let rr = move |a| async move { a }; prox::gateway! {@} }",
            1,
            true,
        ),
        (
            "fn f() { let rr = async || 1; prox::gateway! {@} }",
            0,
            true,
        ),
        ("fn rr<T: Into<U>>(&self) {} prox::gateway! {@}", 0, false),
    ] {
        let (function, _) = around(text)
            .function("rr")
            .unwrap_or_else(|| panic!("{text}"));
        assert_eq!(
            (function.arguments, function.is_async),
            (arguments, is_async),
            "{text}"
        );
    }
    for text in [
        "fn f() { fn g() { fn rr() {} } prox::gateway! {@} }",
        "mod m { fn rr() {} } prox::gateway! {@}",
        "fn rr() {} mod m { prox::gateway! {@} }",
        "fn f() { let rr = x; prox::gateway! {@} }",
    ] {
        assert!(around(text).function("rr").is_none(), "{text}");
    }
}

#[test]
fn what_stands_beside_a_gateway_is_known() {
    for (text, line) in [
        ("struct Edge;\nprox::gateway! {@ struct Edge; }", 1),
        (
            "\n\nprox::gateway! { /// x\n pub struct Edge; }\nprox::gateway! {@ struct Edge; }",
            4,
        ),
        (
            "gateway! { pub(crate) struct Edge { a: B } }\nprox::gateway! {@ struct Edge; }",
            1,
        ),
        ("use a::{b::Edge, c};\nprox::gateway! {@ }", 1),
        ("use a::b as Edge;\nprox::gateway! {@ }", 1),
        ("fn f() { enum Edge {} prox::gateway! {@ } }", 1),
        (
            "mod m { #[derive(Debug)] pub(crate) struct Edge(u8); prox::gateway! {@ } }",
            1,
        ),
    ] {
        let found = around(text)
            .beside("Edge")
            .unwrap_or_else(|| panic!("{text}"));
        assert_eq!(found.line, line, "{text}");
    }
    for text in [
        "prox::gateway! {@ struct Edge; }",
        "prox::gateway! {@ struct Edge; }\ngateway! { pub(crate) struct Edge { a: B } }",
        "mod m { prox::gateway! { struct Edge; } } prox::gateway! {@ struct Edge; }",
        "fn f() { prox::gateway! { struct Edge; } } fn g() { prox::gateway! {@ struct Edge; } }",
        "#[cfg(unix)] prox::gateway! { struct Edge; } #[cfg(not(unix))] prox::gateway! {@ struct Edge; }",
        "#[cfg(unix)] #[derive(X)] pub struct Edge; prox::gateway! {@ }",
        "struct Edge; fn f() { prox::gateway! {@ } }",
        "use Edge::a; use x::{Edge as _, self}; prox::gateway! {@ }",
        "impl Edge { } fn f(a: Edge) {} prox::gateway! {@ }",
    ] {
        assert!(around(text).beside("Edge").is_none(), "{text}");
    }
}

#[test]
fn names_that_an_expression_binds_are_known() {
    for text in [
        "|rr| rr",
        "f(move |a, rr: B| x)",
        "f(|(a, rr)| x)",
        "{ let rr = 1; rr }",
        "match x { Some(rr) => 1, _ => 2 }",
        "{ fn rr() {} 1 }",
        "{ for rr in x { } }",
        "{ if let Some(rr) = x { 1 } else { 2 } }",
    ] {
        assert!(
            bound_in(text.parse().unwrap()).contains(&"rr".to_owned()),
            "{text}"
        );
    }
    for text in [
        "rr",
        "f(rr)",
        "a | rr",
        "rr.b(rr)",
        "x::rr",
        "cluster(rr, [a])",
        "|a| rr",
    ] {
        assert!(
            !bound_in(text.parse().unwrap()).contains(&"rr".to_owned()),
            "{text}"
        );
    }
}

#[test]
fn a_line_and_a_column_are_a_place() {
    let text = "é\nab é(x\n";
    assert_eq!(offset(text, 2, 6).map(|at| &text[at..=at]), Some("x"));
    assert_eq!(offset(text, 1, 1), Some(0));
    assert_eq!(offset(text, 9, 1), None);
}

#[test]
fn what_can_be_called_is_known_by_its_type_or_its_value() {
    let two = Calls::As(Function {
        arguments: 2,
        is_async: false,
    });
    for (ty, calls) in [
        ("impl Fn(u16, &str) -> R", two),
        ("Box<dyn Fn(A<B, C>, D) -> E + Send>", two),
        ("fn(a: A, b: B,)", two),
        ("F", Calls::Maybe),
        ("", Calls::Maybe),
        ("&'static str", Calls::Never),
        ("prox::HeaderName", Calls::Never),
        ("impl Balancer", Calls::Never),
    ] {
        assert_eq!(Calls::of_type(ty.parse().unwrap()), calls, "{ty}");
    }
    let future = Calls::of_type("fn(Request) -> BoxFuture<Response>".parse().unwrap());
    let one = Calls::As(Function {
        arguments: 1,
        is_async: true,
    });
    assert_eq!(future, one);
    for (value, calls) in [
        ("|a, b: B| a", two),
        ("move |_| async { }", one),
        ("\"x\"", Calls::Never),
        ("RateLimit::per_second(5)", Calls::Never),
        ("format!(\"x\")", Calls::Never),
        ("&x", Calls::Never),
        ("make(x)", Calls::Maybe),
    ] {
        assert_eq!(Calls::of_value(value.parse().unwrap()), calls, "{value}");
    }
}
