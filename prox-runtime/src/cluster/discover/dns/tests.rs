use super::*;

fn ips(text: &str) -> Vec<IpAddr> {
    text.split_whitespace()
        .map(|ip| ip.parse().unwrap())
        .collect()
}

#[expect(clippy::unnecessary_wraps, reason = "it stands beside failures")]
fn found(text: &str, seconds: u64) -> Result<Found<IpAddr>, String> {
    if text.is_empty() {
        return Ok(Found::nothing());
    }
    Ok(Found {
        items: ips(text),
        ttl: Duration::from_secs(seconds),
    })
}

fn failed() -> Result<Found<IpAddr>, String> {
    Err("refused".into())
}

#[test]
fn all_addresses_of_both_families_are_used_once_and_in_order() {
    let mut last = Known::default();
    let looked = [
        found("10.0.0.2 10.0.0.1 10.0.0.2", 30),
        found("::2 ::1", 20),
    ];
    let both = together(looked, &mut last).unwrap();
    assert_eq!(both.items, ips("10.0.0.1 10.0.0.2 ::1 ::2"));
    assert_eq!(both.ttl, Duration::from_secs(20));
    let one = together([found("10.0.0.3", 30), found("", 0)], &mut last).unwrap();
    assert_eq!((one.items, one.ttl.as_secs()), (ips("10.0.0.3"), 30));
}

#[test]
fn a_family_whose_lookup_fails_keeps_what_it_had() {
    let mut last = Known::default();
    together([found("10.0.0.1", 5), found("::1", 5)], &mut last).unwrap();
    let next = together([found("10.0.0.2", 5), failed()], &mut last).unwrap();
    assert_eq!(next.items, ips("10.0.0.2 ::1"));
    let next = together([found("10.0.0.2", 5), found("", 0)], &mut last).unwrap();
    assert_eq!(next.items, ips("10.0.0.2"));
}

#[test]
fn no_address_is_a_failure() {
    let mut last = Known::default();
    let reason = |looked, last: &mut Known| together(looked, last).unwrap_err();
    assert_eq!(
        reason([found("", 0), found("", 0)], &mut last),
        "the name has no address"
    );
    assert_eq!(reason([found("", 0), failed()], &mut last), "refused");
    together([found("10.0.0.1", 5), failed()], &mut last).unwrap();
    assert_eq!(reason([failed(), failed()], &mut last), "refused");
    assert_eq!(last[0], ips("10.0.0.1"));
}

#[test]
fn the_url_of_a_lookup_has_a_name() {
    for (url, kind, reason) in [
        ("http://users:8080/base", Kind::Addresses, ""),
        ("http://users.internal.", Kind::Addresses, ""),
        ("http://_http._tcp.users.internal", Kind::Services, ""),
        ("users:8080", Kind::Addresses, "is no upstream"),
        ("ftp://users", Kind::Addresses, "is no upstream"),
        ("http://users/../x", Kind::Addresses, "is no upstream"),
        ("http://10.0.0.1:80", Kind::Addresses, "an address already"),
        ("http://[::1]:80", Kind::Addresses, "an address already"),
        (
            "unix:/run/a.sock",
            Kind::Addresses,
            "a Unix socket has no address",
        ),
        ("http://a..b", Kind::Addresses, "no name of DNS"),
        (
            "http://_http._tcp.users",
            Kind::Addresses,
            "write `srv(..)`",
        ),
        ("http://users", Kind::Services, "as in `_http._tcp"),
        ("http://_http.users", Kind::Services, "as in `_http._tcp"),
        ("http://_http._tcp", Kind::Services, "as in `_http._tcp"),
        (
            "http://_http._tcp.users:80",
            Kind::Services,
            "take the port away",
        ),
    ] {
        match likeness(url, kind) {
            Ok(_) => assert_eq!(reason, "", "{url}"),
            Err(error) => assert!(
                !reason.is_empty() && error.contains(reason),
                "{url}: {error}"
            ),
        }
    }
    let long = format!("http://{}.internal", "x".repeat(64));
    assert!(likeness(&long, Kind::Addresses).is_err());
}

#[test]
fn an_endpoint_is_at_its_address_and_called_by_its_name() {
    let likeness = likeness("http://users.internal:8080/base", Kind::Addresses).unwrap();
    let endpoint = likeness.located("10.0.0.7".parse().unwrap(), likeness.port());
    assert_eq!(endpoint.to_string(), "http://10.0.0.7:8080/base");
    assert_eq!(endpoint.authority(), "users.internal:8080");
    assert_eq!(
        (endpoint.host(), endpoint.name()),
        ("10.0.0.7", "users.internal")
    );
    assert!(endpoint.is_called("10.0.0.7:8080"));
    let endpoint = likeness.located("2001:db8::7".parse().unwrap(), 80);
    assert_eq!(endpoint.to_string(), "http://[2001:db8::7]:80/base");
    assert_eq!(endpoint.authority(), "users.internal");
    assert!(endpoint.is_called("[2001:db8::7]:80"));
}

#[test]
fn a_service_has_ports_weights_and_groups() {
    let likeness = likeness("http://_http._tcp.users.internal", Kind::Services).unwrap();
    let service = |priority, weight, port, target: &str| Service {
        priority,
        weight,
        port,
        target: target.into(),
    };
    let services = [
        service(20, 0, 8080, "b."),
        service(10, 5, 8080, "a."),
        service(10, 1, 80, "a."),
        service(10, 1, 0, "a."),
        service(10, 1, 80, "gone."),
    ];
    let addresses = HashMap::from([
        ("a.".into(), ips("10.0.0.1 10.0.0.2")),
        ("b.".into(), ips("10.0.0.1 10.0.0.3")),
    ]);
    let shown: Vec<String> = places(&likeness, &services, &addresses)
        .iter()
        .map(|one| {
            let name = one.authority();
            format!(
                "{one} {} {} {}",
                name.to_str().unwrap(),
                one.share(),
                one.group()
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "http://10.0.0.1:80 users.internal 1 0",
            "http://10.0.0.2:80 users.internal 1 0",
            "http://10.0.0.1:8080 users.internal:8080 5 0",
            "http://10.0.0.2:8080 users.internal:8080 5 0",
            "http://10.0.0.3:8080 users.internal:8080 1 1",
        ]
    );
}

#[test]
fn an_answer_is_used_for_its_time_within_bounds_and_a_little_more() {
    let pause = |dns: &Dns, seconds| dns.pause(Duration::from_secs(seconds)).as_secs_f64();
    let users = dns("http://users");
    for _ in 0..100 {
        assert!((1.0..=1.1).contains(&pause(&users, 0)));
        assert!((30.0..=33.0).contains(&pause(&users, 30)));
        assert!((60.0..=66.0).contains(&pause(&users, 86_400)));
        assert!((60.0..=66.0).contains(&users.pause(Duration::MAX).as_secs_f64()));
    }
    let bounded = dns("http://users")
        .min_ttl(Duration::from_secs(5))
        .max_ttl(Duration::from_secs(10));
    assert!((5.0..=5.5).contains(&pause(&bounded, 1)));
    assert!((10.0..=11.0).contains(&pause(&bounded, 60)));
}

#[test]
fn what_is_wrong_is_said_before_anything_is_asked() {
    let problem = |dns: Dns| dns.problem().unwrap_or_default();
    if cfg!(not(feature = "dns")) {
        assert_eq!(problem(dns("http://users")), WITHOUT_FEATURE);
        return;
    }
    assert_eq!(problem(dns("http://users")), "");
    assert!(problem(dns("http://10.0.0.1")).contains("10.0.0.1"));
    let turned = dns("http://users").min_ttl(Duration::from_mins(2));
    assert!(problem(turned).contains("write `.max_ttl(..)` too"));
}
