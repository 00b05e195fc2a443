//! Every word of the language once: where it stands, how it is written, and what it is called elsewhere.
//!
//! The lists that the stages read are views of this table.

/// A word, as it is written in a gateway.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word {
    pub(crate) text: &'static str,
    pub(crate) slot: Slot,
    /// An example of its use; empty where the word alone is one.
    pub(crate) example: &'static str,
    /// The names that other gateways, or hurried people, have for it.
    pub(crate) elsewhere: &'static [&'static str],
}

/// Where a word is a word. Everywhere else it is a name like any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The start of a line at the top level.
    Item,
    /// Before the path of a route.
    Method,
    /// Between the methods of a route and its path.
    Exact,
    /// Behind `=>`, called.
    Target,
    /// The first argument of `cluster(..)`, by itself.
    Policy,
    /// The first argument of `cluster(..)`, called.
    KeyedPolicy,
    /// The second argument of `cluster(..)`, called.
    Discovery,
    /// The argument of `.health(..)`, called.
    Check,
    /// Behind `if`, and wherever something of a request is chosen; called.
    Key,
    /// In `with [..]`, by itself.
    Layer,
    /// In `with [..]` and in its arguments, called.
    CalledLayer,
    /// Behind the `.` of a target.
    Option,
    /// Behind the `.` of a cluster, and of no route.
    ClusterOption,
}

/// All words.
pub(crate) const WORDS: [Word; 86] = [
    word(
        Slot::Item,
        "env",
        "env USERS_URL: Endpoint;",
        &["environment", "getenv"],
    ),
    word(
        Slot::Item,
        "let",
        "let limit = RateLimit::per_second(100);",
        &["var", "set"],
    ),
    word(
        Slot::Item,
        "backend",
        "backend users = cluster(rr, [\"http://10.0.0.1:8080\"]);",
        &["upstream", "cluster", "service", "pool", "backends"],
    ),
    word(
        Slot::Item,
        "with",
        "with [AccessLog::json()];",
        &[
            "layer",
            "layers",
            "middleware",
            "middlewares",
            "plugins",
            "filters",
        ],
    ),
    word(
        Slot::Item,
        "require",
        "require auth;",
        &["requires", "secure", "secured", "authorize", "protect"],
    ),
    word(
        Slot::Item,
        "host",
        "host \"api.example.com\" { \"/\" => target }",
        &["server", "vhost", "domain", "virtual_host", "hosts", "site"],
    ),
    word(
        Slot::Item,
        "on",
        "on \"internal\" { \"/metrics\" => target }",
        &["listener", "listeners", "entrypoint"],
    ),
    word(
        Slot::Item,
        "expect",
        "expect GET \"https://api.example.com/v1\" => users;",
        &["assert", "test"],
    ),
    // A method's place among the methods is its bit.
    word(Slot::Method, "GET", "", &[]),
    word(Slot::Method, "HEAD", "", &[]),
    word(Slot::Method, "POST", "", &[]),
    word(Slot::Method, "PUT", "", &[]),
    word(Slot::Method, "DELETE", "", &[]),
    word(Slot::Method, "CONNECT", "", &[]),
    word(Slot::Method, "OPTIONS", "", &[]),
    word(Slot::Method, "TRACE", "", &[]),
    word(Slot::Method, "PATCH", "", &[]),
    word(
        Slot::Exact,
        "exact",
        "exact \"/users\" => target,",
        &["exactly", "equals", "strict", "full"],
    ),
    word(
        Slot::Target,
        "cluster",
        "cluster(rr, [\"http://10.0.0.1:8080\"])",
        &[],
    ),
    word(Slot::Target, "handler", "handler(hello)", &[]),
    word(Slot::Target, "service", "service(router)", &[]),
    word(
        Slot::Target,
        "gateway",
        "gateway(orders::Orders)",
        &["mount", "nest"],
    ),
    word(Slot::Target, "redirect", "redirect(308, \"/new\")", &[]),
    word(Slot::Target, "respond", "respond(200, \"hello\")", &[]),
    word(
        Slot::Target,
        "split",
        "split { 95 => users, 5 => canary }",
        &[],
    ),
    word(Slot::Policy, "rr", "", &[]),
    word(Slot::Policy, "weighted", "", &[]),
    word(Slot::Policy, "least_conn", "", &[]),
    word(Slot::Policy, "p2c", "", &[]),
    word(Slot::Policy, "random", "", &[]),
    word(Slot::KeyedPolicy, "hash", "hash(header(\"x-user\"))", &[]),
    word(
        Slot::Discovery,
        "dns",
        "dns(\"http://users.internal:8080\")",
        &[],
    ),
    word(
        Slot::Discovery,
        "srv",
        "srv(\"http://_http._tcp.users.internal\")",
        &[],
    ),
    word(Slot::Check, "grpc", "grpc()", &[]),
    word(Slot::Check, "http", "http(\"/healthz\")", &[]),
    word(Slot::Check, "tcp", "tcp()", &[]),
    word(Slot::Key, "header", "header(\"x-beta\").is(\"1\")", &[]),
    word(Slot::Key, "query", "query(\"beta\").is(\"1\")", &[]),
    word(Slot::Key, "cookie", "cookie(\"beta\").is(\"1\")", &[]),
    word(
        Slot::Key,
        "client_ip",
        "client_ip().within(\"10.0.0.0/8\")",
        &[],
    ),
    word(Slot::Layer, "public", "", &[]),
    word(Slot::Layer, "upstream_auth", "", &[]),
    word(Slot::CalledLayer, "admits", "admits(check_session)", &[]),
    word(Slot::CalledLayer, "principal", "principal()", &[]),
    word(Slot::CalledLayer, "claim", "claim(\"tenant\")", &[]),
    word(Slot::Option, "timeout", ".timeout(5s)", &[]),
    word(
        Slot::Option,
        "response_timeout",
        ".response_timeout(30s)",
        &[
            "read_timeout",
            "first_byte_timeout",
            "proxy_read_timeout",
            "request_timeout",
        ],
    ),
    word(Slot::Option, "idle_timeout", ".idle_timeout(60s)", &[]),
    word(Slot::Option, "preserve_host", ".preserve_host()", &[]),
    word(
        Slot::Option,
        "preserve_host_if",
        ".preserve_host_if(PRESERVE)",
        &[],
    ),
    word(
        Slot::Option,
        "host_header",
        ".host_header(\"app.example\")",
        &["host", "set_host", "host_rewrite", "host_rewrite_literal"],
    ),
    word(
        Slot::Option,
        "public_address",
        ".public_address()",
        &[
            "own_address",
            "proxy_redirect",
            "proxy_pass_reverse",
            "proxy_cookie_domain",
            "proxy_cookie_path",
            "rewrite_redirects",
        ],
    ),
    word(
        Slot::Option,
        "public_address_if",
        ".public_address_if(PUBLIC)",
        &[],
    ),
    word(Slot::Option, "encoded_slashes", ".encoded_slashes()", &[]),
    word(
        Slot::Option,
        "encoded_slashes_if",
        ".encoded_slashes_if(SLASHES)",
        &[],
    ),
    word(Slot::Option, "forwarded", ".forwarded()", &[]),
    word(
        Slot::Option,
        "forwarded_if",
        ".forwarded_if(FORWARDED)",
        &[],
    ),
    word(
        Slot::Option,
        "retry",
        ".retry(2)",
        &[
            "retries",
            "attempts",
            "max_retries",
            "num_retries",
            "retry_policy",
        ],
    ),
    word(Slot::Option, "hedge", ".hedge(50ms)", &[]),
    word(Slot::Option, "mirror", ".mirror(canary, 0.1)", &[]),
    word(
        Slot::Option,
        "rewrite",
        ".rewrite(\"/\")",
        &[
            "strip_prefix",
            "prefix_rewrite",
            "path_rewrite",
            "regex_rewrite",
        ],
    ),
    word(
        Slot::ClusterOption,
        "connect_timeout",
        ".connect_timeout(1s)",
        &[],
    ),
    word(
        Slot::ClusterOption,
        "pool",
        ".pool(prox::PoolOptions::new())",
        &["keepalive", "keep_alive", "connection_pool"],
    ),
    word(
        Slot::ClusterOption,
        "max_connections",
        ".max_connections(100)",
        &["max_conns", "max_conn", "maxconn", "connection_limit"],
    ),
    word(
        Slot::ClusterOption,
        "queue",
        ".queue(prox::QueueOptions::new().length(100))",
        &[],
    ),
    word(
        Slot::ClusterOption,
        "max_response_headers",
        ".max_response_headers(500)",
        &["max_headers", "max_headers_count"],
    ),
    word(
        Slot::ClusterOption,
        "max_response_header_size",
        ".max_response_header_size(256 * 1024)",
        &[
            "max_header_size",
            "proxy_buffer_size",
            "max_response_headers_kb",
        ],
    ),
    word(
        Slot::ClusterOption,
        "allow_equal_lengths",
        ".allow_equal_lengths()",
        &["allow_duplicate_lengths", "allow_duplicate_content_length"],
    ),
    word(
        Slot::ClusterOption,
        "allow_equal_lengths_if",
        ".allow_equal_lengths_if(ALLOW)",
        &[],
    ),
    word(
        Slot::ClusterOption,
        "allow_folded_fields",
        ".allow_folded_fields()",
        &[
            "allow_obs_fold",
            "allow_obsolete_multiline_headers",
            "allow_folded_headers",
        ],
    ),
    word(
        Slot::ClusterOption,
        "allow_folded_fields_if",
        ".allow_folded_fields_if(ALLOW)",
        &[],
    ),
    word(
        Slot::ClusterOption,
        "allow_bare_line_feeds",
        ".allow_bare_line_feeds()",
        &["allow_bare_lf", "allow_line_feeds"],
    ),
    word(
        Slot::ClusterOption,
        "allow_bare_line_feeds_if",
        ".allow_bare_line_feeds_if(ALLOW)",
        &[],
    ),
    word(
        Slot::ClusterOption,
        "retry_budget",
        ".retry_budget(prox::BudgetOptions::percent(20))",
        &[],
    ),
    word(
        Slot::ClusterOption,
        "passive",
        ".passive(prox::PassiveOptions::new())",
        &["outlier_detection", "passive_health", "max_fails"],
    ),
    word(
        Slot::ClusterOption,
        "without_passive",
        ".without_passive()",
        &[],
    ),
    word(
        Slot::ClusterOption,
        "health",
        ".health(http(\"/healthz\"))",
        &[
            "health_check",
            "health_checks",
            "healthcheck",
            "active_health",
        ],
    ),
    word(Slot::ClusterOption, "required", ".required()", &[]),
    word(
        Slot::ClusterOption,
        "required_if",
        ".required_if(REQUIRED)",
        &[],
    ),
    word(
        Slot::ClusterOption,
        "sticky",
        ".sticky(cookie(\"session\"))",
        &[
            "sticky_session",
            "sticky_sessions",
            "session_affinity",
            "affinity",
        ],
    ),
    word(
        Slot::ClusterOption,
        "slow_start",
        ".slow_start(prox::SlowStart::over(30s))",
        &[],
    ),
    word(
        Slot::ClusterOption,
        "breaker",
        ".breaker(prox::BreakerOptions::new())",
        &["circuit_breaker", "circuit_breakers"],
    ),
    word(
        Slot::ClusterOption,
        "credentials",
        ".credentials(prox::google_id_token())",
        &["google_id_token", "id_token", "gcp_authn", "gcp_iam_auth"],
    ),
    word(
        Slot::ClusterOption,
        "tls",
        ".tls(prox::UpstreamTls::new())",
        &[],
    ),
    word(Slot::ClusterOption, "http2", ".http2()", &[]),
    word(Slot::ClusterOption, "http2_if", ".http2_if(HTTP2)", &[]),
];

const fn word(
    slot: Slot,
    text: &'static str,
    example: &'static str,
    elsewhere: &'static [&'static str],
) -> Word {
    Word {
        text,
        slot,
        example,
        elsewhere,
    }
}

/// The texts of the words of a slot, which must be `N`.
pub(crate) const fn texts<const N: usize>(slot: Slot) -> [&'static str; N] {
    let mut texts = [""; N];
    let mut found = 0;
    let mut at = 0;
    while at < WORDS.len() {
        if WORDS[at].slot as u8 == slot as u8 {
            texts[found] = WORDS[at].text;
            found += 1;
        }
        at += 1;
    }
    assert!(found == N, "the slot has another number of words");
    texts
}

/// The word of the slot.
pub(crate) fn find(slot: Slot, text: &str) -> Option<&'static Word> {
    WORDS
        .iter()
        .find(|word| word.slot == slot && word.text == text)
}

/// The word that is called by this name, in whatever slot.
pub(crate) fn called(text: &str) -> Option<&'static Word> {
    let called = |word: &&Word| {
        matches!(
            word.slot,
            Slot::Target
                | Slot::KeyedPolicy
                | Slot::Discovery
                | Slot::Check
                | Slot::Key
                | Slot::CalledLayer
        )
    };
    // It has an expansion of its own.
    WORDS
        .iter()
        .filter(called)
        .find(|word| word.text == text && word.text != "split")
}

/// Whether the text is a word of the slot.
pub(crate) fn is(slot: Slot, text: &str) -> bool {
    find(slot, text).is_some()
}

/// The word of the slots that has this name elsewhere.
pub(crate) fn by_other_name(slots: &[Slot], text: &str) -> Option<&'static Word> {
    WORDS
        .iter()
        .find(|word| slots.contains(&word.slot) && word.elsewhere.contains(&text))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_word_has_one_slot() {
        let mut seen = HashSet::new();
        for word in &WORDS {
            assert!(seen.insert(word.text), "{}", word.text);
        }
    }

    #[test]
    fn what_a_word_is_called_elsewhere_is_no_word_of_its_slot_and_means_one_word() {
        let mut seen = HashSet::new();
        for word in &WORDS {
            for other in word.elsewhere {
                assert!(!is(word.slot, other), "{other}");
                assert!(seen.insert(*other), "{other}");
            }
        }
    }
}
