//! Runs the gateway.

fn main() -> prox::Result {
    prox::run(testing::Shop::new())
}
