//! Options of a variable are those of a cluster.
prox::gateway! {
    pub struct Shop;

    env API: Endpoint;

    "/" => API.timeout(5),
}

fn main() {
    let _ = Shop::new();
}
