//! The upstream gets one `Host`.
prox::gateway! {
    pub struct Shop;

    env PRESERVE: bool = true;

    backend users = cluster(rr, ["http://10.0.0.1:8080"])
        .host_header("app.example")
        .preserve_host_if(PRESERVE);

    "/" => users,
}

fn main() {
    let _ = Shop::new();
}
