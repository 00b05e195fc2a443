//! The dot is not needed.
use prox::Sticky;

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"])
        .sticky(Sticky::cookie("shop").domain(".shop.example"));

    "/" => users,
}

fn main() {
    let _ = Shop::new();
}
