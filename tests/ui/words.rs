//! A program in which the user has every word of the language as a name, of every kind, in both positions, beside the words
//! themselves.
//!
//! It is written from the table of words, so a new word is tried as soon as there is one. When it runs it asks the gateways,
//! and so tells a name of the user from the word.

#![expect(
    clippy::format_push_string,
    clippy::format_collect,
    reason = "a program is written once"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A kind of name; `$w` is the name.
#[expect(clippy::struct_excessive_bools, reason = "columns of a table")]
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    /// Where a gateway can have such names: with a name itself, as an expression.
    named: bool,
    expression: bool,
    /// The declaration beside the gateway: in the module, or in the function around it.
    item: &'static str,
    statement: &'static str,
    /// The field of the gateway, or the parameter of the function around it, and what it is given.
    field: &'static str,
    parameter: &'static str,
    given: &'static str,
    /// The line in the gateway, and the route that uses the name.
    line: &'static str,
    route: &'static str,
    /// Whether the names are those of policies.
    policies: bool,
    /// Whether an answer tells that it is the user's.
    answers: bool,
    /// A name that cannot be one here.
    not: &'static str,
}

const NONE: Kind = Kind {
    name: "",
    named: true,
    expression: true,
    item: "",
    statement: "",
    field: "",
    parameter: "",
    given: "",
    line: "",
    route: "\"/v/$w\" => respond(200, text(&$w)),",
    policies: true,
    answers: true,
    not: "",
};

const FUNCTION: Kind = Kind {
    route: "\"/v/$w\" => handler($w),",
    policies: false,
    ..NONE
};

/// Every kind of name that a user can have.
const KINDS: [Kind; 17] = [
    Kind {
        name: "function",
        item: "pub async fn $w(_: Request) -> &'static str { \"$w\" }",
        ..FUNCTION
    },
    Kind {
        name: "function_in_block",
        named: false,
        statement: "async fn $w(_: Request) -> &'static str { \"$w\" }",
        ..FUNCTION
    },
    Kind {
        name: "closure",
        named: false,
        statement: "let $w = |_: Request| async { \"$w\" };",
        ..FUNCTION
    },
    Kind {
        name: "closure_of_line",
        line: "let $w = |_: Request| async { \"$w\" };",
        ..FUNCTION
    },
    Kind {
        name: "argument_of_closure",
        route: "\"/v/$w\" => handler(|$w: Request| async move { drop($w); \"$w\" }),",
        ..FUNCTION
    },
    Kind {
        name: "constant",
        item: "pub const $w: Own = Own(\"$w\");",
        ..NONE
    },
    Kind {
        name: "constant_in_block",
        named: false,
        statement: "const $w: Own = Own(\"$w\");",
        ..NONE
    },
    Kind {
        name: "statics",
        item: "pub static $w: &Own = &Own(\"$w\");",
        ..NONE
    },
    Kind {
        name: "unit",
        item: "unit!($w);",
        ..NONE
    },
    Kind {
        name: "import",
        item: "use constant_expression::$w;",
        ..NONE
    },
    Kind {
        name: "local",
        named: false,
        statement: "let $w = Own(\"$w\");",
        ..NONE
    },
    Kind {
        name: "pattern",
        named: false,
        statement: "let (_, Some($w)) = (1, Some(Own(\"$w\"))) else { unreachable!() };",
        ..NONE
    },
    Kind {
        name: "parameter",
        named: false,
        parameter: "$w: Own, ",
        given: "Own(\"$w\"), ",
        ..NONE
    },
    Kind {
        name: "field",
        expression: false,
        field: "$w: Own, ",
        given: "Own(\"$w\"), ",
        ..NONE
    },
    Kind {
        name: "line",
        line: "let $w = Own(\"$w\");",
        ..NONE
    },
    Kind {
        name: "variable",
        line: "env $w: Own = Own(\"$w\");",
        not: "with",
        ..NONE
    },
    Kind {
        name: "backend",
        line: "backend $w = \"http://127.0.0.1:9\";",
        route: "GET \"/v/$w\" => $w,\nPOST \"/v/$w\" => $w.timeout(5s),\nexpect GET \"/v/$w\" => $w;",
        policies: false,
        answers: false,
        not: "with",
        ..NONE
    },
];

/// Writes the program, and says where it is.
pub(crate) fn program() -> PathBuf {
    let words = words();
    assert!(words.len() > 50, "the table of words is read");
    let mut text = String::from(PRELUDE);
    let mut calls = String::new();
    for kind in KINDS {
        for (named, position) in [(true, "named"), (false, "expression")] {
            if if named { kind.named } else { kind.expression } {
                let module = format!("{}_{position}", kind.name);
                text += &gateway(&kind, named, &module, &words);
                calls += &format!("    {module}::run(runtime);\n");
            }
        }
    }
    text += &format!("fn main() {{\n    let runtime = &runtime();\n{calls}}}\n");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("every_word_as_a_name.rs");
    fs::write(&file, text).expect("the folder of the target can be written to");
    file
}

/// A module with one gateway, which has all words as names of this kind.
fn gateway(kind: &Kind, named: bool, module: &str, words: &[(String, String)]) -> String {
    let written: Vec<&String> = words
        .iter()
        .map(|(_, word)| word)
        .filter(|word| *word != kind.not)
        .collect();
    let each = |form: &str| -> String {
        let all = written.iter().map(|word| form.replace("$w", word) + "\n");
        if form.is_empty() {
            String::new()
        } else {
            all.collect()
        }
    };
    let policies = words.iter().filter(|(slot, _)| slot == "Policy");
    let policies: String = policies
        .map(|(_, word)| format!("\"/p/{word}\" => cluster({word}, [\"http://127.0.0.1:9\"]),\n"))
        .collect();
    let body = [each(kind.line), each(kind.route), policies, USES.to_owned()].concat();
    let (item, statement, field) = (each(kind.item), each(kind.statement), each(kind.field));
    let (parameter, given) = (each(kind.parameter), each(kind.given));
    let (made, value) = if named {
        (
            format!("prox::gateway! {{\nstruct Edge {{ {field} }}\n{body}}}\n"),
            format!("Edge::new({given}).map(|edge| prox::Gateway::clone(&edge))"),
        )
    } else {
        (
            format!(
                "fn made({parameter}) -> prox::Result<prox::Gateway> {{\n{statement}prox::gateway! {{\n{body}}}\n}}\n"
            ),
            format!("made({given})"),
        )
    };
    let all: String = written.iter().map(|word| format!("\"{word}\", ")).collect();
    let asked = if kind.answers { all.as_str() } else { "" };
    let policies = kind.policies;
    format!(
        "mod {module} {{\nuse super::*;\n{item}{made}\
         pub fn run(runtime: &Runtime) {{\n\
         SEEN.lock().unwrap().clear();\n\
         check(runtime, \"{module}\", {value}, &[{asked}], {policies});\n}}\n}}\n"
    )
}

/// The slots and the words of the table, but for those of Rust.
fn words() -> Vec<(String, String)> {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../prox-macros/src/vocab.rs");
    let table = fs::read_to_string(table).expect("the table of words");
    let mut rest = table.as_str();
    let mut words = Vec::new();
    while let Some((_, behind)) = rest.split_once(" word(") {
        let behind = behind.trim_start();
        rest = behind;
        let Some((slot, behind)) = behind
            .strip_prefix("Slot::")
            .and_then(|slot| slot.split_once(','))
        else {
            continue;
        };
        let word = behind.trim_start().strip_prefix('"');
        let word = word.and_then(|word| word.split_once('"'));
        if let Some((word, _)) = word.filter(|(word, _)| *word != "let") {
            words.push((slot.to_owned(), word.to_owned()));
        }
    }
    words
}

/// The words as words.
const USES: &str = r#"
"/w/handler" => handler(answer),
"/w/service" => service(tower::service_fn(|_: Request| async {
    Ok::<_, std::convert::Infallible>(prox::Response::new(prox::Body::empty()))
})),
"/w/redirect" => redirect(308, "/elsewhere"),
"/w/respond" => respond(200, "respond"),
"/w/cluster" => cluster(hash(header("x-user")), ["http://127.0.0.1:9", "http://127.0.0.1:8"]).health(http("/healthz").every(5s)),
"/w/sticky" => cluster(hash(client_ip()), ["http://127.0.0.1:9"]).sticky(cookie("side")).health(tcp()),
"/w/grpc" => cluster(hash(query("x")), ["http://127.0.0.1:9"]).http2().health(grpc()),
"/w/dns" => cluster(hash(cookie("x")), dns("http://users.invalid:8080")),
"/w/srv" => cluster(hash(cookie("x")), srv("http://_http._tcp.users.invalid")),
"/w/split" => split { 1 => respond(200, "split"), 2 => handler(answer) }.sticky(cookie("side")),
GET "/w/key" if header("x-a").is("1").and(query("a").is("1")) => respond(200, "header"),
GET "/w/cookie" if cookie("a").is("1") => respond(200, "cookie"),
GET "/w/client" if client_ip().within("10.0.0.0/8") => respond(200, "client_ip"),
GET exact "/w/exact" => respond(200, "exact"),
host "a.example.com" with [tower::timeout::TimeoutLayer::new(5s)] { "/" => respond(200, "host") }
expect GET "https://a.example.com/" => 200;
expect GET "/w/respond" => 200;
expect GET "/w/redirect" => 308;
"#;

const PRELUDE: &str = r#"//! Written by tests/ui/words.rs.
#![allow(non_upper_case_globals, non_camel_case_types, non_snake_case, unused)]

use std::sync::Mutex;

use prox::{Balancer, Pick, Request};
use tokio::runtime::Runtime;

/// The policies of the user that a gateway has.
static SEEN: Mutex<Vec<&str>> = Mutex::new(Vec::new());

trait Text {
    fn text(&self) -> &'static str;
}

fn text(of: &impl Text) -> &'static str {
    of.text()
}

#[derive(Clone, Copy, Debug)]
pub struct Own(pub &'static str);

impl Text for Own {
    fn text(&self) -> &'static str {
        self.0
    }
}

impl Text for &Own {
    fn text(&self) -> &'static str {
        self.0
    }
}

impl std::str::FromStr for Own {
    type Err = std::convert::Infallible;

    fn from_str(_: &str) -> Result<Self, Self::Err> {
        Ok(Self("from the environment"))
    }
}

fn chosen(name: &'static str) -> Result<(), String> {
    SEEN.lock().unwrap().push(name);
    Ok(())
}

macro_rules! balancer {
    ($type:ty) => {
        impl Balancer for $type {
            fn pick(&self, pick: &Pick<'_>) -> Option<usize> {
                pick.available().next()
            }

            fn check(&self) -> Result<(), String> {
                chosen(self.text())
            }
        }
    };
}
balancer!(Own);
balancer!(&'static Own);

macro_rules! unit {
    ($name:ident) => {
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl Text for $name {
            fn text(&self) -> &'static str {
                stringify!($name)
            }
        }

        balancer!($name);
    };
}

async fn answer(_: Request) -> &'static str {
    "answer"
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn check(
    runtime: &Runtime,
    kind: &str,
    gateway: prox::Result<prox::Gateway>,
    names: &[&str],
    policies: bool,
) {
    let mut gateway = gateway.unwrap_or_else(|error| panic!("{kind}: {error}"));
    let seen = SEEN.lock().unwrap().len();
    assert_eq!(seen, if policies { 5 } else { 0 }, "{kind}: policies of the user");
    runtime.block_on(async {
        let all = names.iter().map(|name| (format!("/v/{name}"), *name));
        let words = [("/w/handler", "answer"), ("/w/respond", "respond"), ("/w/exact", "exact")];
        for (path, wanted) in all.chain(words.map(|(path, wanted)| (path.to_owned(), wanted))) {
            let request = http::Request::get(&path).header("host", "localhost").body(prox::Body::empty()).unwrap();
            let response = tower::Service::call(&mut gateway, request).await.unwrap();
            let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
            assert_eq!(String::from_utf8_lossy(&body), wanted, "{kind}: {path}");
        }
    });
}

"#;
