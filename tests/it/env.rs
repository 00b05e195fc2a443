//! Variables of the environment: read when a gateway starts, and everything that is wrong is said at once.

use std::process::{Command, Output};

fn probe(variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_env_probe"))
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .expect("the probe can be run")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn what_is_missing_and_what_is_malformed_is_said_in_one_error() {
    let output = probe(&[
        ("RATE", "ten"),
        ("WAIT", "5"),
        ("MORE_URLS", "http://a, ftp://b"),
    ]);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    for part in [
        "USERS_URL is not set",
        "Endpoint",
        "Where the users live",
        "RATE",
        "\"ten\"",
        "u32",
        "Requests a second",
        "WAIT",
        "MORE_URLS",
        "item 2",
    ] {
        assert!(error.contains(part), "{part:?} is missing:\n{error}");
    }
    assert!(
        !error.contains("API_TOKEN") && !error.contains("NAME"),
        "nothing is wrong with these:\n{error}"
    );
    assert_eq!(error.lines().count(), 1 + 4, "one line each:\n{error}");
    assert!(output.stdout.is_empty());
}

#[test]
fn who_needs_a_variable_is_said() {
    let error = text(&probe(&[("MORE_URLS", "http://a")]).stderr);
    assert!(error.contains("users"), "{error}");
    assert_eq!(error.lines().count(), 1 + 1, "{error}");
}

#[test]
fn a_default_stands_for_what_is_not_set() {
    let output = probe(&[
        ("USERS_URL", "http://10.0.0.1:80"),
        ("MORE_URLS", "http://a, http://b:81"),
    ]);
    let told = text(&output.stdout);
    assert!(
        told.contains("rate=100 wait=5s name=None token=7"),
        "{told}{}",
        text(&output.stderr)
    );
    assert!(told.contains("more=[http://a, http://b:81]"), "{told}");
}

#[test]
fn what_is_set_wins_over_the_default() {
    let output = probe(&[
        ("USERS_URL", "http://10.0.0.1:80"),
        ("MORE_URLS", "http://a"),
        ("RATE", "7"),
        ("WAIT", "250ms"),
        ("NAME", "shop"),
        ("API_TOKEN", "8"),
    ]);
    let told = text(&output.stdout);
    assert!(
        told.contains("rate=7 wait=250ms name=Some(\"shop\") token=8"),
        "{told}"
    );
}

#[test]
fn an_empty_variable_is_one_that_is_not_set() {
    let output = probe(&[("USERS_URL", ""), ("MORE_URLS", "http://a"), ("RATE", "")]);
    assert!(text(&output.stderr).contains("USERS_URL is not set"));
    assert!(!text(&output.stderr).contains("RATE"));
}

#[test]
fn a_value_that_may_be_a_secret_is_not_shown() {
    let output = probe(&[
        ("USERS_URL", "http://u:hunter2@a"),
        ("MORE_URLS", "http://a"),
        ("API_TOKEN", "hunter3"),
    ]);
    let error = text(&output.stderr);
    assert!(
        error.contains("API_TOKEN") && error.contains("USERS_URL"),
        "{error}"
    );
    assert!(!error.contains("hunter"), "{error}");
}

#[test]
fn endpoints_that_make_no_cluster_are_reported_too() {
    let output = probe(&[
        ("USERS_URL", "http://a"),
        ("MORE_URLS", "http://b,http://b"),
    ]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("twice"),
        "{}",
        text(&output.stderr)
    );
}
