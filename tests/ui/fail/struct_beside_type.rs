//! A gateway has the name of a type in its module.

#[derive(Clone, Debug)]
pub struct Edge {
    pub name: String,
}

prox::gateway! {
    pub struct Edge;

    "/users" => "http://10.0.0.1:8080",
}

fn main() {
    println!("{:?}", Edge { name: String::new() });
}
