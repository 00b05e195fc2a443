//! Values of fields with parts of requests (`Headers`): the template on the first line, then `host`, `tenant`, and a claim, a line each.
//!
//! A value is its template with the parts put in as they are, and no part becomes another one.

#![no_main]
#![allow(dead_code, reason = "of what is included not all is used")]

#[path = "../../../prox-runtime/src/middleware/headers/template.rs"]
mod template;

use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderValue, Request, header, request::Parts};
use template::Template;

mod handler {
    pub(crate) type Parts = http::request::Parts;
}

mod middleware {
    #[derive(Clone)]
    pub(crate) struct RequestIdValue(pub(crate) String);

    impl RequestIdValue {
        pub(crate) fn as_str(&self) -> &str {
            &self.0
        }
    }
}

mod route {
    use std::{borrow::Cow, net::IpAddr};

    pub(crate) struct RouteInfo {
        pub(crate) path: &'static str,
    }

    pub(crate) fn names(_: &str) -> impl Iterator<Item = &str> {
        ["tenant"].into_iter()
    }

    /// What the router and the authenticator have found out.
    #[derive(Clone)]
    pub(crate) struct Known {
        pub(crate) ip: IpAddr,
        pub(crate) tenant: String,
        pub(crate) claim: String,
    }

    pub(crate) struct Principal<'k>(&'k Known);

    pub(crate) struct Claim<'k>(&'k str);

    impl<'k> Principal<'k> {
        pub(crate) fn claim(&self, path: &str) -> Option<Claim<'k>> {
            (path == "tenant").then(|| Claim(&self.0.claim))
        }
    }

    impl<'k> Claim<'k> {
        pub(crate) fn shown(&self) -> Option<Cow<'k, str>> {
            Some(Cow::Borrowed(self.0))
        }
    }

    pub(crate) trait RequestExt {
        fn client_ip(&self) -> Option<IpAddr>;
        fn param(&self, name: &str) -> Option<&str>;
        fn principal(&self) -> Option<Principal<'_>>;
    }

    impl RequestExt for http::request::Parts {
        fn client_ip(&self) -> Option<IpAddr> {
            Some(self.extensions.get::<Known>()?.ip)
        }

        fn param(&self, name: &str) -> Option<&str> {
            let known = self.extensions.get::<Known>()?;
            (name == "tenant").then_some(&known.tenant)
        }

        fn principal(&self) -> Option<Principal<'_>> {
            self.extensions.get::<Known>().map(Principal)
        }
    }
}

const ID: &str = "0123-abc";

/// A request with these parts; none if no client can send it.
fn request(host: &str, tenant: &str, claim: &str) -> Option<Parts> {
    let host = HeaderValue::from_str(host).ok()?;
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.headers.insert(header::HOST, host);
    parts
        .extensions
        .insert(middleware::RequestIdValue(ID.into()));
    parts.extensions.insert(route::Known {
        ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        tenant: tenant.into(),
        claim: claim.into(),
    });
    Some(parts)
}

/// What a template means, character by character: the names of its parts, and its text if all of them are there.
fn expected(template: &str, [host, tenant, claim]: [&str; 3]) -> (Vec<String>, Option<String>) {
    let (mut names, mut text) = (Vec::new(), Some(String::new()));
    let mut rest = template.chars().peekable();
    while let Some(next) = rest.next() {
        let piece = if !matches!(next, '{' | '}') || rest.next_if_eq(&next).is_some() {
            Some(next.to_string())
        } else {
            assert_eq!(next, '{', "a lone brace was taken in {template:?}");
            let name: String = rest.by_ref().take_while(|&end| end != '}').collect();
            let piece = match &*name {
                "host" => host.is_ascii().then_some(host),
                "client_ip" => Some("127.0.0.1"),
                "request_id" => Some(ID),
                "tenant" => Some(tenant),
                "claim:tenant" => Some(claim),
                _ => None,
            };
            names.push(name);
            piece.map(str::to_owned)
        };
        text = text.zip(piece).map(|(text, piece)| text + &piece);
    }
    (names, text)
}

libfuzzer_sys::fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (written, parts) = (line(), [line(), line(), line()]);
    let template = match Template::read(written) {
        Ok(template) => template,
        Err(problem) => {
            assert!(problem.contains(&format!("{written:?}")), "{problem}");
            return;
        }
    };
    let [host, tenant, claim] = parts;
    let Some(request) = request(host, tenant, claim) else {
        return;
    };
    let (names, expected) = expected(written, parts);
    // What no field can have leaves the field out.
    let expected = expected.and_then(|text| HeaderValue::from_str(&text).ok());
    assert_eq!(template.value(&request), expected, "{written:?} {parts:?}");
    assert_eq!(matches!(template, Template::Fixed(_)), names.is_empty());
    let tells = names.iter().any(|name| name.starts_with("claim:"));
    assert_eq!(template.identifies(), tells, "{written:?}");
    if let Some(name) = template.missing(&route::RouteInfo { path: "/{tenant}" }) {
        assert!(names.iter().any(|own| own == name) && name != "tenant");
    }
});
