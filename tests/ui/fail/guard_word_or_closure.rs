//! A closure has the name of a word, and can be called like it.

fn main() -> prox::Result {
    let header = |name: &'static str| move |parts: &prox::Parts| parts.headers.contains_key(name);
    let gateway = prox::gateway! {
        "/beta" if header("x-beta") => "http://10.0.0.1:8080",
    };
    prox::run(gateway)
}
