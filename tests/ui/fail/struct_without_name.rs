//! A `struct` line without a name.

prox::gateway! {
    pub struct;

    GET "/users" => "http://10.0.0.1:8080",
}

fn main() {}
