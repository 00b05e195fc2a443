//! A whole proxy: everything goes to one upstream.
//!
//! `cargo run -p minimal`, with something on port 9000.

fn main() -> prox::Result {
    prox::run(prox::gateway! { "/" => "http://127.0.0.1:9000" })
}
