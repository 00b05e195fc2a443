use super::*;

/// How a route leads to an upstream.
struct Setting {
    pattern: &'static str,
    exact: bool,
    path: &'static str,
    template: Option<&'static str>,
    base: &'static str,
    secure: bool,
    authority: &'static str,
    sent: &'static str,
    client: (&'static str, &'static str),
}

/// A client of `https://shop.example/app/x`, whose route `/app` leads to `http://10.0.0.1:8080/`.
const APP: Setting = Setting {
    pattern: "/app",
    exact: false,
    path: "/app/x",
    template: Some("/"),
    base: "",
    secure: false,
    authority: "10.0.0.1:8080",
    sent: "10.0.0.1:8080",
    client: ("https", "shop.example"),
};

/// The values of a field after it was rewritten.
fn rewritten(setting: &Setting, name: &HeaderName, value: &str) -> String {
    let template = setting.template.map(Template::new);
    let own = Own {
        secure: setting.secure,
        authority: setting.authority,
        sent: setting.sent,
        base: setting.base,
        template: template.as_ref(),
    };
    let taken = Taken {
        pattern: setting.pattern,
        exact: setting.exact,
        path: setting.path.to_owned(),
    };
    let (scheme, host) = setting.client;
    let public = Public::new(host, scheme, Some(taken));
    let mut headers = HeaderMap::new();
    headers.append(name, HeaderValue::from_str(value).unwrap());
    headers.append("x-other", HeaderValue::from_str(value).unwrap());
    public.apply(&mut headers, own);
    assert_eq!(headers["x-other"], value, "no other field is touched");
    headers[name].to_str().unwrap().to_owned()
}

#[track_caller]
fn locations(setting: &Setting, cases: &[(&str, &str)]) {
    for name in [header::LOCATION, header::CONTENT_LOCATION] {
        for (value, wanted) in cases {
            assert_eq!(rewritten(setting, &name, value), *wanted, "{value}");
        }
    }
}

#[track_caller]
fn cookies(setting: &Setting, cases: &[(&str, &str)]) {
    for (value, wanted) in cases {
        let found = rewritten(setting, &header::SET_COOKIE, value);
        assert_eq!(found, *wanted, "{value}");
    }
}

#[test]
fn a_url_of_the_upstream_becomes_a_path_of_the_route() {
    let cases = [
        ("http://10.0.0.1:8080/login", "/app/login"),
        ("HTTP://10.0.0.1:8080/login?a=/b#c", "/app/login?a=/b#c"),
        ("//10.0.0.1:8080/login", "/app/login"),
        ("http://10.0.0.1:8080", "/app/"),
        ("http://10.0.0.1:8080?a", "/app/?a"),
        ("/login", "/app/login"),
        ("/", "/app/"),
        // By the client's scheme, which the upstream is told.
        ("https://10.0.0.1:8080/login", "/app/login"),
    ];
    locations(&APP, &cases);
}

#[test]
fn any_other_url_stays_as_it_is() {
    let cases = [
        "https://login.example/x",
        "http://10.0.0.1/login",
        "http://10.0.0.1:80801/login",
        "http://10.0.0.1:8080.evil.example/",
        "http://u@10.0.0.1:8080/login",
        "ftp://10.0.0.1:8080/login",
        "login",
        "../login",
        "?a",
        "#a",
        "",
        "mailto:a@b",
        // A client would resolve these to a path that is not of the route.
        "/a/../../b",
        "/%2e%2E/b",
        "/\\evil.example",
        "http:/\\10.0.0.1:8080/",
        "http://10.0.0.1:8080\\@evil.example/",
    ];
    for url in cases {
        locations(&APP, &[(url, url)]);
    }
}

#[test]
fn a_path_never_becomes_another_host() {
    let plain = Setting {
        template: None,
        ..APP
    };
    let cases = [
        ("http://10.0.0.1:8080//evil.example/", "/.//evil.example/"),
        ("http://10.0.0.1:8080/\\evil.example/", "/./\\evil.example/"),
        ("//10.0.0.1:8080//evil.example/", "/.//evil.example/"),
    ];
    locations(&plain, &cases);
    let based = Setting {
        base: "/api",
        ..plain
    };
    locations(&based, &[("/api//evil.example/", "/.//evil.example/")]);
}

#[test]
fn ports_and_names_are_compared_as_clients_do() {
    let named = Setting {
        authority: "Users.internal",
        sent: "users.internal",
        client: ("http", "shop.example"),
        ..APP
    };
    let cases = [
        ("http://users.internal:80/x", "/app/x"),
        ("http://USERS.internal./x", "/app/x"),
        (
            "http://users.internal:8080/x",
            "http://users.internal:8080/x",
        ),
        // It sends clients of http to https: that is another place.
        ("https://users.internal/x", "https://users.internal/x"),
    ];
    locations(&named, &cases);
    let six = Setting {
        secure: true,
        authority: "[::1]:8443",
        sent: "[::1]:8443",
        ..APP
    };
    let cases = [
        ("https://[::1]:8443/x", "/app/x"),
        ("https://[::1]/x", "https://[::1]/x"),
    ];
    locations(&six, &cases);
}

#[test]
fn the_host_that_the_upstream_got_is_its_own_address_too() {
    let preserved = Setting {
        sent: "shop.example",
        ..APP
    };
    let cases = [
        ("https://shop.example/login", "/app/login"),
        ("http://shop.example/login", "/app/login"),
        ("http://10.0.0.1:8080/login", "/app/login"),
        (
            "https://shop.example:8443/login",
            "https://shop.example:8443/login",
        ),
    ];
    locations(&preserved, &cases);
    // A client of http is sent to https.
    let plain = Setting {
        client: ("http", "shop.example"),
        ..preserved
    };
    let up = "https://shop.example/login";
    locations(&plain, &[(up, up)]);
}

#[test]
fn base_paths_and_templates_are_undone() {
    let based = Setting {
        template: None,
        base: "/api",
        ..APP
    };
    let cases = [
        ("/api/app/y", "/app/y"),
        ("/api", "/"),
        ("/api?x", "/?x"),
        ("http://10.0.0.1:8080/api/", "/"),
        // The client cannot get there.
        ("/apis", "/apis"),
        ("/login", "/login"),
        ("http://10.0.0.1:8080/login", "http://10.0.0.1:8080/login"),
    ];
    locations(&based, &cases);
    let both = Setting {
        base: "/api",
        template: Some("/v2/"),
        ..APP
    };
    let cases = [
        ("/api/v2/y", "/app/y"),
        ("/api/v2", "/app"),
        ("/api/v3", "/api/v3"),
        ("/v2/y", "/v2/y"),
    ];
    locations(&both, &cases);
    let same = Setting {
        template: None,
        ..APP
    };
    locations(
        &same,
        &[
            ("/login", "/login"),
            ("http://10.0.0.1:8080/login", "/login"),
        ],
    );
}

#[test]
fn parameters_of_a_template_are_read_out_of_the_url() {
    let users = Setting {
        pattern: "/{tenant}/users/{id}",
        path: "/acme/users/7/x",
        template: Some("/people/p-{id}"),
        ..APP
    };
    let cases = [
        ("/people/p-7/y", "/acme/users/7/y"),
        // Such as what a POST has made.
        ("/people/p-9", "/acme/users/9"),
        ("/people/p-", "/people/p-"),
        ("/people/9", "/people/9"),
        ("/people", "/people"),
    ];
    locations(&users, &cases);
    let rest = Setting {
        pattern: "/files/{*name}",
        path: "/files/a/b",
        template: Some("/store/{name}"),
        ..APP
    };
    let cases = [("/store/c/d?x", "/files/c/d?x"), ("/store", "/store")];
    locations(&rest, &cases);
    let typed = Setting {
        pattern: "/v1/{id: int}",
        path: "/v1/7",
        exact: true,
        template: Some("/{id}"),
        ..APP
    };
    locations(&typed, &[("/8", "/v1/8"), ("/8/x", "/8/x")]);
    let two = Setting {
        pattern: "/{a}/{b}",
        path: "/1/2",
        template: Some("/{a}-{b}"),
        ..APP
    };
    locations(&two, &[("/3-4", "/3-4")]);
}

#[test]
fn the_url_of_a_refresh_is_one_as_well() {
    for (value, wanted) in [
        ("5; url=http://10.0.0.1:8080/x", "5; url=/app/x"),
        ("0;URL = '/x' ", "0;URL = '/app/x' "),
        ("1.5, /x", "1.5, /app/x"),
        ("5; url=\"/x\"; y", "5; url=\"/app/x\"; y"),
        ("5;/x ", "5;/app/x "),
        ("5", "5"),
        ("5; url=x", "5; url=x"),
        (
            "5; url=https://other.example/",
            "5; url=https://other.example/",
        ),
        ("/x", "/x"),
        ("", ""),
        ("5; url='", "5; url='"),
        ("5; urn:x", "5; urn:x"),
    ] {
        assert_eq!(rewritten(&APP, &header::REFRESH, value), wanted, "{value}");
    }
}

#[test]
fn a_cookie_is_for_the_address_of_the_client() {
    let named = Setting {
        authority: "users.internal.example:8080",
        sent: "users.internal.example:8080",
        ..APP
    };
    let cases = [
        ("a=b; Path=/", "a=b; Path=/app"),
        ("a=b; Path=/x/; HttpOnly", "a=b; Path=/app/x; HttpOnly"),
        ("a=b;path=/x", "a=b; path=/app/x"),
        ("a=b", "a=b"),
        ("a=b; Path=x", "a=b; Path=x"),
        ("a=b; Domain=users.internal.example; Secure", "a=b; Secure"),
        ("a=b; domain=.internal.example", "a=b"),
        ("a=b; Domain=other.example", "a=b; Domain=other.example"),
        ("a=b; Domain=shop.example", "a=b; Domain=shop.example"),
        // Both are below it.
        ("a=b; Domain=example", "a=b; Domain=example"),
        (
            "Path=/; a=b; Domain=internal.example; Path=/y",
            "Path=/; a=b; Path=/app/y",
        ),
        ("__Host-a=b; Path=/; Secure", "__Host-a=b; Path=/; Secure"),
        (
            "a=\"x\"; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "a=\"x\"; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        ),
    ];
    cookies(&named, &cases);
    let address = ("a=b; Domain=10.0.0.1; Path=/", "a=b; Path=/app");
    cookies(&APP, &[address, ("a=b; Domain=0.0.1", "a=b; Domain=0.0.1")]);
    let preserved = Setting {
        sent: "www.shop.example",
        client: ("https", "www.shop.example:8443"),
        template: None,
        ..APP
    };
    let own = "a=b; Domain=shop.example; Path=/";
    cookies(&preserved, &[(own, own)]);
    let legacy = Setting {
        template: Some("/legacy"),
        ..APP
    };
    let cases = [
        ("a=b; Path=/legacy", "a=b; Path=/app"),
        // It is for more than the route.
        ("a=b; Path=/", "a=b; Path=/"),
    ];
    cookies(&legacy, &cases);
}

#[test]
fn each_of_several_cookies_is_rewritten() {
    let public = Public::new("shop.example", "https", None);
    let own = Own {
        secure: false,
        authority: "a.internal",
        sent: "a.internal",
        base: "/api",
        template: None,
    };
    let mut headers = HeaderMap::new();
    for cookie in ["a=1; Domain=a.internal", "b=2", "c=3; Path=/api/x"] {
        headers.append(header::SET_COOKIE, HeaderValue::from_static(cookie));
    }
    let foreign = HeaderValue::from_bytes(b"d=\xff; Domain=a.internal").unwrap();
    headers.append(header::SET_COOKIE, foreign.clone());
    public.apply(&mut headers, own);
    let all: Vec<&HeaderValue> = headers.get_all(header::SET_COOKIE).iter().collect();
    assert_eq!(
        all,
        ["a=1", "b=2", "c=3; Path=/x"]
            .map(HeaderValue::from_static)
            .iter()
            .chain([&foreign])
            .collect::<Vec<_>>()
    );
}
