//! A gateway whose parts come from another macro, each in a group without delimiters.

macro_rules! edge {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($field:ident: $ty:ty),* }
     $limit:ty = $default:expr;
     $($path:literal if $guard:expr => $target:expr),* $(,)?) => {
        prox::gateway! {
            $(#[$meta])*
            $vis struct $name { $($field: $ty),* }

            env LIMIT: $limit = $default;

            $(
                $path if $guard => $target with [prox::middleware::Recover::new()],
                $path => respond(404, format!("{LIMIT:?}")),
            )*
        }
    };
}

edge! {
    /// Documented.
    #[allow(dead_code)]
    pub(crate) struct Inner { names: std::collections::HashMap<String, Vec<u8>> }
    Vec<u16> = vec![1, 2];
    "/names" if header("x-beta").is("1") => prox::dsl::respond(200, format!("{names:?}")),
}

edge! {
    struct Outer {}
    u16 = 5 + 5;
    "/a" if |parts: &prox::Parts| parts.method == "GET" || parts.method == "HEAD" => "http://10.0.0.1:8080",
    "/b" if query("v").is("1") => prox::dsl::redirect(308, "/a"),
}

fn main() -> prox::Result {
    Inner::new(std::collections::HashMap::new())?;
    let outer = Outer::new()?;
    drop(outer);
    Ok(())
}
