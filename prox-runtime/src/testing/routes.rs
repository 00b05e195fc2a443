//! A table of routes that is kept in a file, so that a change of it is seen in a review.

use std::{env, fs};

use crate::gateway::Describe;

#[doc(hidden)]
#[macro_export]
macro_rules! __assert_routes {
    ($file:literal, $gateway:ty $(,)?) => {
        $crate::testing::check_routes::<$gateway>(::core::concat!(
            ::core::env!("CARGO_MANIFEST_DIR"),
            "/",
            $file
        ))
    };
}

/// Fails with the [diff](crate::Routes::diff) if requests fare otherwise with the gateway than with the table of routes in the file.
///
/// The file is that of `routes --json`, with a path from the folder of the package. With the variable `UPDATE_ROUTES=1` the test
/// writes it instead. A gateway needs a name; it is not made.
///
/// # Panics
///
/// If requests fare otherwise, if the file is missing or cannot be compared, and if the gateway has no name.
///
/// ```no_run
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Describe, testing::assert_routes};
///
/// fn the_routes_are_as_reviewed<Shop: Describe>() {
///     assert_routes!("routes.json", Shop);
/// }
/// ```
#[doc(inline)]
pub use __assert_routes as assert_routes;

/// What [`assert_routes`] does with the file at this path.
#[doc(hidden)]
#[track_caller]
pub fn check_routes<G: Describe>(path: &str) {
    let update = env::var_os("UPDATE_ROUTES").is_some_and(|value| value == "1");
    if let Err(problem) = checked::<G>(path, update) {
        panic!("{problem}");
    }
}

fn checked<G: Describe>(path: &str, update: bool) -> Result<(), String> {
    let description = G::describe().ok_or(
        "only a gateway with a name has a table of routes before it is made: write `struct Shop;`",
    )?;
    let routes = description.routes();
    let fix = "UPDATE_ROUTES=1 writes the file";
    if update {
        return fs::write(path, routes.to_json()).map_err(|error| format!("{path}: {error}"));
    }
    let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}; {fix}"))?;
    let diff = routes.diff(&text);
    let diff = diff.map_err(|error| format!("{path}: {error}; {fix}"))?;
    if diff.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "requests fare otherwise than with {path}; {fix}:\n{diff}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        error::Result as ProxResult,
        gateway::{Description, Gateway, IntoGateway},
        route::{RouteInfo, Routes, Table, Variables},
    };

    const ROWS: &[RouteInfo] = &[RouteInfo::EMPTY];

    struct Shop;

    impl IntoGateway for Shop {
        fn into_gateway(self) -> ProxResult<Gateway> {
            unreachable!("it is only described")
        }
    }

    impl Describe for Shop {
        fn describe() -> Option<Description> {
            static TABLE: Table = Table::new("", &[], &[], &[], &[], &[]);
            let routes = Routes::new(ROWS);
            Some(Description::new(&TABLE, routes, Variables::new(&[])))
        }
    }

    #[test]
    fn a_file_is_written_compared_and_found_other() {
        let name = format!("prox-assert-routes-{}.json", std::process::id());
        let file = env::temp_dir().join(name);
        let path = file.to_str().unwrap();
        let missing = checked::<Shop>(path, false).unwrap_err();
        assert!(
            missing.ends_with("UPDATE_ROUTES=1 writes the file"),
            "{missing}"
        );
        checked::<Shop>(path, true).unwrap();
        checked::<Shop>(path, false).unwrap();
        let other = fs::read_to_string(path).unwrap().replace("\"/\"", "\"/a\"");
        fs::write(path, other).unwrap();
        let other = checked::<Shop>(path, false).unwrap_err();
        assert!(
            other.contains("UPDATE_ROUTES=1 writes the file:\ngained  GET /\n"),
            "{other}"
        );
        fs::write(path, "{}").unwrap();
        let malformed = checked::<Shop>(path, false).unwrap_err();
        assert!(
            malformed.contains("line 1: expected an array of routes"),
            "{malformed}"
        );
        fs::remove_file(path).unwrap();
        let nameless = checked::<Gateway>(path, false).unwrap_err();
        assert!(nameless.contains("a gateway with a name"), "{nameless}");
    }
}
