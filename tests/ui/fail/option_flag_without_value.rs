//! A flag takes a truth value.
prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://10.0.0.1:8080"]).preserve_host_if("yes");

    "/" => users,
}

fn main() {
    let _ = Shop::new();
}
