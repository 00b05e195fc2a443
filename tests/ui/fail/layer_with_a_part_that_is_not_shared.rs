//! A closure as a layer, with a part that threads cannot share.

use std::rc::Rc;

fn counted(counter: Rc<u32>) -> impl Fn(prox::Request, prox::Next) -> std::future::Ready<&'static str> {
    move |_, _| {
        let _ = &counter;
        std::future::ready("counted")
    }
}

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);

    GET "/users" => users with [counted(Rc::new(1))],
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
