//! Defaults of variables as literals of their types, or in the form that the environment has.

use std::{net::IpAddr, num::NonZeroU32, str::FromStr};

/// A type of one's own, of which the macro knows nothing.
#[derive(Debug)]
pub struct Mode(String);

impl FromStr for Mode {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

prox::gateway! {
    pub struct Shop;

    env USERS_URL: Endpoint = "http://users:8080";
    env ORDERS_URLS: Vec<Endpoint> = ["http://10.0.0.1:8080", "http://10.0.0.2:8080"];
    env CART_URLS: Vec<Endpoint> = "http://10.0.0.3:8080, http://10.0.0.4:8080";
    env TIMEOUT: Duration = 1.5s;
    env DEBUG: bool = false;
    env SIZE: usize = 16KiB;
    env RATE: f64 = 0.5;
    env OFFSET: i8 = -128;
    env NAME: String = "shop";
    env PEER: IpAddr = "::1";
    env LIMIT: NonZeroU32 = 100;
    env MODE: Mode = "fast";
    env PORTS: Vec<u16> = [80, 443];
    env NOTHING: Vec<String> = [];
    env WORDS: Vec<String> = ["a,b", "c"];
    env MAYBE: Option<u16> = 7;
    env PERHAPS: Option<Endpoint> = "http://maybe";

    let all = format!(
        "{DEBUG} {SIZE} {RATE} {OFFSET} {NAME} {PEER} {LIMIT} {} {PORTS:?} {NOTHING:?} {WORDS:?} {MAYBE:?}",
        MODE.0,
    );
    let () = assert_eq!(
        all,
        r#"false 16384 0.5 -128 shop ::1 100 fast [80, 443] [] ["a,b", "c"] Some(7)"#
    );
    let () = assert_eq!(CART_URLS.len() + ORDERS_URLS.len(), 4);
    let () = assert_eq!(PERHAPS.map(|endpoint| endpoint.port()), Some(80));

    "/users" => cluster(rr, [USERS_URL]).timeout(TIMEOUT),
    "/orders" => cluster(rr, ORDERS_URLS),
    "/cart" => cluster(rr, CART_URLS),
    "/all" => respond(200, all),
}

fn main() -> prox::Result {
    Shop::new().map(drop)
}
