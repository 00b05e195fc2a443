//! Browsers drop such a cookie.
use prox::{SameSite, Sticky};

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"])
        .sticky(Sticky::cookie("shop").same_site(SameSite::None).max_age(1h));

    "/" => users,
}

fn main() {
    let _ = Shop::new();
}
