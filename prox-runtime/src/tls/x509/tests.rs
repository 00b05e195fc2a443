use std::net::IpAddr;

use proptest::prelude::*;
use rcgen::{CertificateParams, DnType, DnValue, KeyPair, SanType, date_time_ymd};

use super::*;

fn parsed(adjust: impl FnOnce(&mut CertificateParams)) -> Certificate {
    Certificate::parse(&made(adjust)).expect("rcgen makes certificates")
}

fn made(adjust: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    adjust(&mut params);
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

#[test]
fn every_kind_of_name_is_read() {
    let spiffe = "spiffe://shop/billing";
    let certificate = parsed(|params| {
        params.subject_alt_names = vec![
            SanType::DnsName("Billing.Internal".try_into().unwrap()),
            SanType::DnsName("*.billing.internal".try_into().unwrap()),
            SanType::URI(spiffe.try_into().unwrap()),
            SanType::Rfc822Name("ops@shop.example".try_into().unwrap()),
            SanType::IpAddress("10.0.0.1".parse().unwrap()),
            SanType::IpAddress("2001:db8::1".parse().unwrap()),
        ];
    });
    assert_eq!(
        certificate.hosts,
        ["billing.internal", "*.billing.internal"]
    );
    assert_eq!(certificate.uris, [spiffe]);
    assert_eq!(certificate.emails, ["ops@shop.example"]);
    let addresses: [IpAddr; 2] = ["10.0.0.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    assert_eq!(certificate.addresses, addresses);
    assert_eq!(certificate.subject, "");
    assert_eq!(certificate.common_name, None);
}

#[test]
fn a_subject_is_written_as_rfc_4514_has_it() {
    let certificate = parsed(|params| {
        let name = &mut params.distinguished_name;
        name.push(DnType::CountryName, "DE");
        name.push(DnType::OrganizationName, "Shop, Inc.");
        name.push(
            DnType::CommonName,
            DnValue::Utf8String(" a=b+\"ü\"\\ ".into()),
        );
        // A serial number, which has no short form.
        name.push(
            DnType::CustomDnType(vec![2, 5, 4, 5]),
            DnValue::Utf8String("7".into()),
        );
    });
    assert_eq!(
        certificate.subject,
        r#"2.5.4.5=#0c0137,CN=\ a=b\+\"ü\"\\\ ,O=Shop\, Inc.,C=DE"#
    );
    assert_eq!(certificate.common_name.as_deref(), Some(" a=b+\"ü\"\\ "));
}

#[test]
fn dates_of_both_forms_are_read_and_written() {
    let certificate = parsed(|params| {
        params.not_before = date_time_ymd(1999, 12, 31);
        params.not_after = date_time_ymd(2096, 2, 29);
    });
    assert_eq!(date(certificate.not_before), "1999-12-31 00:00:00 UTC");
    assert_eq!(date(certificate.not_after), "2096-02-29 00:00:00 UTC");
    assert_eq!(time((UTC_TIME, b"700101000000Z")), Some(0));
    assert_eq!(time((UTC_TIME, b"491231235959Z")), Some(2_524_607_999));
    assert_eq!(
        time((GENERALIZED_TIME, b"20240229120000Z")),
        Some(1_709_208_000)
    );
    for bad in [
        &b""[..],
        b"Z",
        b"2401010000Z",
        b"24010100000aZ",
        b"240001000000Z",
    ] {
        assert_eq!(time((UTC_TIME, bad)), None);
    }
}

#[test]
fn a_name_with_a_nul_in_it_is_no_name() {
    let mut der = made(|params| {
        params.subject_alt_names = vec![SanType::DnsName("shop.example".try_into().unwrap())];
    });
    let at = der
        .windows(12)
        .position(|window| window == b"shop.example")
        .unwrap();
    der[at + 4] = 0;
    assert!(Certificate::parse(&der).unwrap().hosts.is_empty());
}

proptest! {
    #[test]
    fn days_and_dates_are_each_others_inverse(day in -100_000_i64..2_000_000) {
        let written = date(day * 86_400);
        let part = |range: std::ops::Range<usize>| written[range].parse::<i64>().unwrap();
        prop_assume!(written.len() == 23);
        prop_assert_eq!(civil::days(part(0..4), part(5..7), part(8..10)), day);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Certificate::parse(&bytes);
    }

    #[test]
    fn no_damage_makes_it_panic(at in 0_usize..1000, byte: u8, cut in 0_usize..1000) {
        let mut der = made(|params| {
            params.distinguished_name.push(DnType::CommonName, "damaged");
            params.subject_alt_names = vec![
                SanType::DnsName("shop.example".try_into().unwrap()),
                SanType::IpAddress("10.0.0.1".parse().unwrap()),
            ];
        });
        let at = at % der.len();
        der[at] = byte;
        let _ = Certificate::parse(&der);
        der.truncate(cut);
        let _ = Certificate::parse(&der);
    }
}
