//! A row of a table, of this gateway or of a file that `routes --json` wrote.

use super::{
    super::{
        RouteInfo,
        accepts::{Accepts, Key, Test},
        export::accepts_of,
    },
    json::{self, Kind, Value},
};
use crate::network::Network;

/// One route, as far as requests are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Empty for every listener.
    pub(super) listener: String,
    pub(super) hosts: Vec<String>,
    pub(super) path: String,
    pub(super) exact: bool,
    pub(super) methods: Vec<String>,
    /// The source text of the guard, or nothing.
    pub(super) guard: String,
    pub(super) accepts: Option<Accepts>,
    pub(super) target: String,
    pub(super) layers: Vec<String>,
    pub(super) made: Vec<String>,
    pub(super) rank: u64,
    pub(super) file: String,
    pub(super) line: u32,
}

impl From<&RouteInfo> for Row {
    fn from(route: &RouteInfo) -> Self {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        let parts = |text: &str| text.split('|').map(str::to_owned).collect();
        Self {
            listener: route.listener.to_owned(),
            hosts: parts(route.host),
            path: route.path.to_owned(),
            exact: route.exact,
            methods: parts(route.methods),
            guard: route.guard.to_owned(),
            accepts: accepts_of(route),
            target: route.target.to_owned(),
            layers: texts(route.layers),
            made: texts(route.made),
            rank: route.rank,
            file: route.file.to_owned(),
            line: route.line,
        }
    }
}

impl Row {
    /// What it matches, without its host.
    pub(super) fn pattern(&self) -> String {
        let methods = self.methods.join("|");
        let methods = match methods.as_str() {
            "*" => String::new(),
            methods => format!("{methods} "),
        };
        let exact = if self.exact { "exact " } else { "" };
        let guard = match self.guard.as_str() {
            "" => String::new(),
            guard => format!(" if {guard}"),
        };
        format!("{methods}{exact}{}{guard}", self.path)
    }
}

/// The rows of a file that `routes --json` wrote, or what is wrong with it.
pub(super) fn read(text: &str) -> Result<Vec<Row>, String> {
    let value = json::read(text)?;
    let line = value.line;
    let Kind::List(rows) = value.kind else {
        return Err(format!(
            "line {line}: expected an array of routes, as `routes --json` writes it"
        ));
    };
    rows.into_iter().map(row).collect()
}

fn row(value: Value) -> Result<Row, String> {
    let mut fields = Fields::of(value, "a route")?;
    let row = Row {
        listener: fields.take("listener", optional)?,
        hosts: fields.take("hosts", texts)?,
        path: fields.take("path", string)?,
        exact: fields.take("exact", boolean)?,
        methods: fields.take("methods", texts)?,
        guard: fields.take("guard", optional)?,
        target: fields.take("target", string)?,
        layers: fields.take("layers", texts)?,
        file: fields.take("file", string)?,
        line: fields.take("line", number)?,
        accepts: fields.take("accepts", |value| match value.kind {
            Kind::Null => Ok(None),
            _ => accepts(value).map(Some),
        })?,
        made: fields.take("made", texts)?,
        rank: fields.take("rank", number)?,
    };
    let wrong = |what: &str| Err(format!("line {}: {what}", fields.line));
    if !row.path.starts_with('/') {
        return wrong(&format!("`{}` is not a path", row.path));
    }
    if row.hosts.is_empty() || row.methods.is_empty() {
        return wrong("a route has a host and a method: `_` and `*` if it takes any");
    }
    if row.guard.is_empty() != row.accepts.is_none() {
        return wrong("`guard` and `accepts` contradict each other: both are `null`, or neither");
    }
    Ok(row)
}

/// The fields of an object, by their names.
struct Fields {
    line: usize,
    pairs: Vec<(String, Value)>,
}

impl Fields {
    fn of(value: Value, what: &str) -> Result<Self, String> {
        let line = value.line;
        match value.kind {
            Kind::Object(pairs) => Ok(Self { line, pairs }),
            _ => Err(format!("line {line}: expected {what} as an object")),
        }
    }

    fn find(&mut self, name: &str) -> Option<Value> {
        let place = self.pairs.iter().position(|(known, _)| known == name)?;
        Some(self.pairs.swap_remove(place).1)
    }

    fn take<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Value) -> Result<T, String>,
    ) -> Result<T, String> {
        let value = self.find(name).ok_or_else(|| {
            format!(
                "line {}: a route has no `{name}`: the file is of another version of Prox; write it again with `routes --json`",
                self.line
            )
        })?;
        read(value).map_err(|problem| match problem.strip_prefix("line ") {
            Some(_) => problem,
            None => format!("line {}: `{name}`: {problem}", self.line),
        })
    }
}

fn string(value: Value) -> Result<String, String> {
    match value.kind {
        Kind::Text(text) => Ok(text),
        _ => Err(String::from("expected a string")),
    }
}

/// A string, or nothing for `null`.
fn optional(value: Value) -> Result<String, String> {
    match value.kind {
        Kind::Null => Ok(String::new()),
        _ => string(value).map_err(|_| String::from("expected a string or `null`")),
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "as the readers of other values"
)]
fn boolean(value: Value) -> Result<bool, String> {
    match value.kind {
        Kind::Bool(value) => Ok(value),
        _ => Err(String::from("expected `true` or `false`")),
    }
}

fn number<N: std::str::FromStr>(value: Value) -> Result<N, String> {
    let number = match value.kind {
        Kind::Number(text) => text.parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| String::from("expected a whole number"))
}

fn texts(value: Value) -> Result<Vec<String>, String> {
    match value.kind {
        Kind::List(items) => items.into_iter().map(string).collect(),
        _ => Err(String::from("expected an array of strings")),
    }
}

/// A guard, of which the reader of JSON bounds the depth.
fn accepts(value: Value) -> Result<Accepts, String> {
    let mut fields = Fields::of(value, "what a guard accepts")?;
    let line = fields.line;
    let wrong = || format!("line {line}: a malformed guard in `accepts`");
    let list = |value: Value| match value.kind {
        Kind::List(items) if !items.is_empty() => items
            .into_iter()
            .map(accepts)
            .collect::<Result<Vec<Accepts>, String>>(),
        _ => Err(wrong()),
    };
    if let Some(source) = fields.find("opaque") {
        return Ok(Accepts::Opaque(string(source)?));
    }
    if let Some(all) = fields.find("all") {
        let mut all = list(all)?;
        let only = all.len() == 1;
        return Ok(match all.pop() {
            Some(one) if only => one,
            rest => {
                all.extend(rest);
                Accepts::All(all)
            }
        });
    }
    if let Some(any) = fields.find("any") {
        return list(any).map(Accepts::Any);
    }
    if let Some(not) = fields.find("not") {
        return accepts(not).map(|not| Accepts::Not(Box::new(not)));
    }
    let on = fields.find("on").map(string).ok_or_else(wrong)??;
    let name = fields.find("name").map(string).transpose()?;
    let key = match (on.as_str(), name) {
        ("client", None) => Key::Client,
        (on, Some(name)) => Key::named(on, &name).ok_or_else(wrong)?,
        _ => return Err(wrong()),
    };
    let (verb, value) = fields.pairs.pop().ok_or_else(wrong)?;
    let test = match (verb.as_str(), value.kind) {
        ("exists", Kind::Bool(true)) => Test::Exists,
        ("exists", Kind::Bool(false)) => Test::Absent,
        ("is", Kind::Text(text)) => Test::Is(text),
        ("starts_with", Kind::Text(text)) => Test::StartsWith(text),
        ("within", Kind::Text(text)) if Network::parse(&text).is_some() => Test::Within(text),
        ("one_of", Kind::List(items)) => {
            Test::OneOf(items.into_iter().map(string).collect::<Result<_, _>>()?)
        }
        _ => return Err(wrong()),
    };
    if (key == Key::Client) != matches!(test, Test::Within(_)) {
        return Err(wrong());
    }
    Ok(Accepts::Test(key, test))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Routes;

    const fn guarded(guard: &'static str) -> RouteInfo {
        RouteInfo {
            guard,
            layers: &["a\"b", "c"],
            made: &["let auth = x"],
            rank: 7,
            ..RouteInfo::EMPTY
        }
    }

    #[test]
    fn what_was_written_is_read_back() {
        const ROWS: [RouteInfo; 8] = [
            guarded(""),
            guarded("header(\"X-Beta\").is(\"1\")"),
            guarded("|req: &Parts| true"),
            guarded("query(\"v\").one_of([\"1\", \"2\"]).and(cookie(\"c\").absent())"),
            guarded("client_ip().within(\"10.0.0.0/8\").not()"),
            guarded("header(\"a\").exists().or(header(\"b\").starts_with(\"x\"))"),
            guarded(
                "(query(\"v\").exists().or(cookie(\"c\").exists())).and(header(\"a\").exists())",
            ),
            guarded(
                "header(\"a\").exists().and(header(\"b\").exists().and(header(\"c\").exists())).not()",
            ),
        ];
        let routes = Routes::new(&ROWS);
        let rows = read(&routes.to_json()).unwrap();
        let wanted: Vec<Row> = ROWS.iter().map(Row::from).collect();
        assert_eq!(rows, wanted);
    }

    #[test]
    fn a_file_that_is_none_is_refused_with_the_place() {
        const ONE: [RouteInfo; 1] = [guarded("")];
        let json = Routes::new(&ONE).to_json();
        for (from, to, wanted) in [
            (
                "\"rank\":7",
                "\"rang\":7",
                "line 2: a route has no `rank`: the file is of another version of Prox; write it again with `routes --json`",
            ),
            (
                "\"rank\":7",
                "\"rank\":-7",
                "line 2: `rank`: expected a whole number",
            ),
            (
                "\"path\":\"/\"",
                "\"path\":\"x\"",
                "line 2: `x` is not a path",
            ),
            (
                "\"path\":\"/\"",
                "\"path\":7",
                "line 2: `path`: expected a string",
            ),
            (
                "\"hosts\":[\"_\"]",
                "\"hosts\":[]",
                "line 2: a route has a host and a method: `_` and `*` if it takes any",
            ),
            (
                "\"accepts\":null",
                "\"accepts\":{}",
                "line 2: a malformed guard in `accepts`",
            ),
            (
                "\"accepts\":null",
                "\"accepts\":{\"opaque\":\"g\"}",
                "line 2: `guard` and `accepts` contradict each other: both are `null`, or neither",
            ),
            (
                "\"accepts\":null",
                "\"accepts\":{\"on\":\"client\",\"within\":\"x\"}",
                "line 2: a malformed guard in `accepts`",
            ),
            (
                "\"accepts\":null",
                "\"accepts\":{\"on\":\"header\",\"name\":\"a b\",\"exists\":true}",
                "line 2: a malformed guard in `accepts`",
            ),
        ] {
            assert!(json.contains(from), "{json}");
            assert_eq!(read(&json.replace(from, to)).unwrap_err(), wanted, "{to}");
        }
        assert!(read("{}").unwrap_err().contains("an array of routes"));
        assert!(
            read("[7]")
                .unwrap_err()
                .contains("expected a route as an object")
        );
    }
}
