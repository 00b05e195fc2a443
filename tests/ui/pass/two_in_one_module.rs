//! Two gateways in one module, of a prox under another name, with names that the expansion uses itself.

#![deny(warnings, dead_code)]

use prox as gw;

mod edges {
    pub use super::gw::middleware::Recover;

    type Result = ();
    struct Option;
    struct Vec;

    pub fn used() -> (Result, impl Sized, impl Sized) {
        ((), Option, Vec)
    }

    crate::gw::gateway! {
        /// For everyone.
        pub struct Public;
        backend users = "http://10.0.0.1:8080";
        with [Recover::new()];
        "/users" => users,
    }

    crate::gw::gateway! {
        pub(super) struct Internal { route: String, table: &'static str, gateway: u8 }
        backend users = "http://10.0.0.2:8080";
        let span = format!("{route}{table}{gateway}");
        "/users" => users,
        "/span" => respond(200, span),
    }
}

fn main() -> gw::Result {
    let _ = edges::used();
    let public = edges::Public::new()?;
    let internal = edges::Internal::new("a".to_owned(), "b", 3)?;
    let all = [&public.backends().users, &internal.backends().users];
    assert_eq!(all.map(|users| users.name()), ["users", "users"]);
    assert_eq!((public.routes().len(), internal.routes().len()), (1, 2));
    Ok(())
}
