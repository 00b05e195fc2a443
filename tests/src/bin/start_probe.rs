//! A gateway with everything on, whose start and memory `tests/peers/start.py` measures: an access log, health checks, the layers that
//! need no key, and what its variables turn on (`ADMIN`, `HANDOVER`, `AWS_LAMBDA_RUNTIME_API`). With `CERTIFICATE` and `KEY` it speaks TLS.

use std::process::ExitCode;

use prox::{
    Tls,
    middleware::{
        AccessLog, BodyLimit, Cache, Compress, Cors, InFlight, RateLimit, Recover, RequestId,
        SecurityHeaders,
    },
};

prox::gateway! {
    struct Probe;

    env UPSTREAM: Endpoint;

    backend origin = cluster(p2c, [UPSTREAM])
        .retry(1)
        .health(http("/").every(1s).every_while_changing(1s).rise(1))
        .required();

    with [
        AccessLog::json(),
        RequestId::new(),
        Recover::new(),
        SecurityHeaders::new(),
        RateLimit::per_second(1000).burst(1000),
        InFlight::max(1000),
    ];

    GET "/readyz" => prox::readiness(),
    "/cached" => origin with [Cache::new(16 * 1024 * 1024)],
    "/api" => origin with [Cors::origins(["https://shop.example.com"]), BodyLimit::max(1024 * 1024)],
    "/" => origin with [Compress::new()],
}

fn main() -> ExitCode {
    prox::cli_with(Probe::new, |server| {
        let files = (std::env::var("CERTIFICATE"), std::env::var("KEY"));
        match files {
            (Ok(certificate), Ok(key)) => server.tls(Tls::pem(certificate, key)),
            _ => server,
        }
    })
}
