//! A gateway in a process of its own: three lines, as a user would write them.

fn main() -> prox::Result {
    prox::run(prox::gateway! {
        env UPSTREAM: Endpoint;
        "/" => UPSTREAM,
    })
}
