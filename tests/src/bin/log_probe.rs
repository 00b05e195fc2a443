//! A gateway with an access log in a process of its own. With `NO_PATH` set, the log leaves paths out.

use prox::middleware::AccessLog;

fn main() -> prox::Result {
    let log = AccessLog::new().query(["page"]).header("x-tenant");
    let log = if std::env::var_os("NO_PATH").is_some() {
        log.without_path()
    } else {
        log
    };
    prox::run(prox::gateway! {
        env UPSTREAM: Endpoint;
        with [log];
        "/" => UPSTREAM,
    })
}
