//! From the tree of what was written to the model: literals are understood, scopes unfolded, layers shared.

use std::collections::{HashMap, HashSet};

use proc_macro2::{Ident, Span, TokenTree};

use super::{
    Host, Methods, Model, On, Route,
    audience::Values,
    guard::{self, Guard},
    is_named,
    lacking::is_wrong_layer,
    meant::Meant,
    mount::{self, Reading},
    names::Names,
    options::{known_elsewhere, of_backend},
    order::order,
};
use crate::{
    diag::Diagnostics,
    syntax::{
        ast::{self, Entry, Expr, Gateway, Setup, Target, Text},
        calls::each_expr,
        cursor::text_of,
        host,
        methods::Method,
        pattern::{self, Class, Pattern, Segment, Tail},
        words::METHODS,
    },
    vocab::{self, Slot},
};

/// Makes the model, and reports literals that are no paths or hosts.
pub(crate) fn lower(gateway: Gateway, diag: &mut Diagnostics) -> Model {
    let mut setups = gateway.setup;
    let backends = setups.iter().filter_map(|setup| match setup {
        Setup::Backend(backend) => Some(backend.name.to_string()),
        Setup::Let(_) => None,
    });
    let backends: HashSet<String> = backends.collect();
    let endpoints = gateway
        .env
        .iter()
        .filter(|env| is_named(&env.ty, "Endpoint"));
    let endpoints: HashSet<String> = endpoints.map(|env| env.name.to_string()).collect();
    let mut around = gateway.around;
    if !gateway.strays.is_empty() {
        // They declare names.
        around.open();
    }
    let names = Names::new(gateway.named.as_ref(), &gateway.env, &setups, around);
    let mut meant = Meant::default();
    for setup in &mut setups {
        if let Setup::Backend(backend) = setup
            && let Some(Target::Expr(expr)) = &mut backend.target
        {
            if meant.is_target_ambiguous(&expr.tokens, &names, diag) {
                backend.target = None;
                continue;
            }
            if mount::is_elsewhere(&Target::Expr(expr.clone()), &names, diag) {
                backend.target = None;
                continue;
            }
            let takes_options = |name: &Ident| {
                let name = name.to_string();
                backends.contains(&name) || endpoints.contains(&name)
            };
            *expr = known_elsewhere(expr.clone(), &takes_options, diag);
        }
    }
    let order = order(&mut setups, &names, diag);
    let values = Values::new(&setups);
    let mut lowering = Lowering {
        names,
        own: gateway.named.as_ref().map(|named| named.name.clone()),
        defaults: gateway.env.iter().filter_map(text_default).collect(),
        meant,
        diag,
        backends,
        endpoints,
        holes: gateway.holes,
        flawed_defaults: gateway.flawed_defaults,
        values,
        layers: Layers::default(),
        own_methods: Vec::new(),
        too_many_methods: false,
        lost_layers: gateway.lost_layers,
        routes: Vec::new(),
    };
    let outer = lowering.layers(gateway.layers);
    let every: Vec<usize> = outer.iter().map(|used| used.layer).collect();
    let mut hosts = vec![Host::every_other(None)];
    let outside = Surroundings {
        host: 0,
        scope: Scope::Root,
        layers: outer.clone(),
        required: gateway.required,
    };
    lowering.entries(gateway.entries, &outside);
    for block in gateway.hosts {
        lowering.block(block, &outside, None, &mut hosts);
    }
    let mut ons = Vec::new();
    for (number, on) in gateway.ons.into_iter().enumerate() {
        ons.push(lowering.on(on, &outside, number, &mut hosts));
    }
    let mut routes = lowering.routes;
    add_head(&mut routes);
    add_plain(&routes, &mut hosts);
    Model {
        names: lowering.names,
        named: gateway.named,
        env: gateway.env,
        setup: setups,
        order,
        layers: lowering.layers.all,
        every,
        hosts,
        ons,
        own_methods: lowering.own_methods,
        routes,
        expects: gateway.expects,
        lost_layers: lowering.lost_layers,
        strays: gateway.strays,
        marks: gateway.marks,
    }
}

struct Lowering<'d> {
    names: Names,
    /// The defaults of variables that are strings.
    defaults: HashMap<String, Text>,
    /// The name of the gateway.
    own: Option<Ident>,
    meant: Meant,
    diag: &'d mut Diagnostics,
    /// The names of the backends.
    backends: HashSet<String>,
    /// The names of the variables that are endpoints.
    endpoints: HashSet<String>,
    /// The names whose values are missing, which has been reported.
    holes: HashSet<String>,
    /// The variables whose defaults are not of their types, which has been reported.
    flawed_defaults: HashSet<String>,
    values: Values,
    layers: Layers,
    own_methods: Vec<String>,
    too_many_methods: bool,
    /// Whether layers were lost by a mistake, which has been reported.
    lost_layers: bool,
    routes: Vec<Route>,
}

/// What stands around a route.
struct Surroundings {
    host: usize,
    scope: Scope,
    layers: Vec<Used>,
    /// Whether a layer has to say who may enter.
    required: bool,
}

/// A layer, by its number, at one of its places.
#[derive(Clone, Copy)]
struct Used {
    layer: usize,
    place: Span,
}

#[derive(Clone)]
enum Scope {
    Root,
    Path(Pattern),
    /// The path of a scope is none, which has been reported.
    Hole,
}

impl Lowering<'_> {
    /// The routes of a listener, which has this number.
    fn on(
        &mut self,
        on: ast::On,
        around: &Surroundings,
        number: usize,
        hosts: &mut Vec<Host>,
    ) -> On {
        let root = hosts.len();
        hosts.push(Host::every_other(Some(number)));
        let mut layers = around.layers.clone();
        layers.extend(self.layers(on.layers));
        let inside = Surroundings {
            host: root,
            scope: Scope::Root,
            layers,
            required: around.required || on.required,
        };
        self.entries(on.entries, &inside);
        for block in on.hosts {
            self.block(block, &inside, Some(number), hosts);
        }
        On {
            name: on.name,
            root,
        }
    }

    /// The routes of a host, at the top level or in the block of a listener.
    fn block(
        &mut self,
        block: ast::Host,
        around: &Surroundings,
        on: Option<usize>,
        hosts: &mut Vec<Host>,
    ) {
        let host = if block.names.is_empty() && block.variables.is_empty() {
            around.host
        } else {
            self.host(&block.names, block.variables, on, hosts)
        };
        let mut layers = around.layers.clone();
        layers.extend(self.layers(block.layers));
        let inside = Surroundings {
            host,
            scope: Scope::Root,
            layers,
            required: around.required || block.required,
        };
        self.entries(block.entries, &inside);
    }

    fn host(
        &mut self,
        names: &[Text],
        variables: Vec<Ident>,
        on: Option<usize>,
        hosts: &mut Vec<Host>,
    ) -> usize {
        let written = names.iter().map(|name| name.value.clone());
        let labels: Vec<String> = written
            .chain(variables.iter().map(|name| format!("{{{name}}}")))
            .collect();
        let mut host = Host {
            on,
            label: labels.join("|"),
            names: Vec::new(),
            variables,
            defaults: Vec::new(),
            plain: "7",
            hole: false,
        };
        for text in names {
            match host::parse(&text.value) {
                Ok(name) => host.names.push((name, text.clone())),
                Err(flaw) => {
                    self.diag.flaw(text, flaw);
                    host.hole = true;
                }
            }
        }
        for name in &host.variables {
            // A variable of two blocks is reported by its name.
            let mut others = hosts.iter().filter(|other| other.on == on);
            if others.any(|other| other.variables.contains(name)) {
                continue;
            }
            let name = name.to_string();
            host.hole |= self.flawed_defaults.contains(&name);
            // A default that is not a host has been reported.
            if let Some(text) = self.defaults.get(&name)
                && let Ok(name) = host::parse(&text.value)
            {
                host.defaults.push((name, text.clone()));
            }
        }
        hosts.push(host);
        hosts.len() - 1
    }

    /// The layers by number, without those that are none, which are reported, and without holes.
    fn layers(&mut self, layers: Vec<Expr>) -> Vec<Used> {
        let written = layers.len();
        let layers = layers.into_iter().filter(|layer| {
            !self.is_hole(layer)
                && !self.is_target(layer)
                && !is_wrong_layer(&layer.tokens, &self.names, self.diag)
                && !self.values.lacks_audience(layer, &self.names, self.diag)
        });
        let layers: Vec<Expr> = layers.collect();
        self.lost_layers |= layers.len() < written;
        self.layers.intern(layers)
    }

    fn is_hole(&self, expr: &Expr) -> bool {
        expr.only_ident()
            .is_some_and(|name| self.holes.contains(&name.to_string()))
    }

    /// Reports a target where a layer stands.
    fn is_target(&mut self, layer: &Expr) -> bool {
        let [TokenTree::Ident(first), rest @ ..] = layer.tokens.as_slice() else {
            return false;
        };
        let name = first.to_string();
        let method = matches!(rest.first(), None | Some(TokenTree::Punct(_)))
            && !matches!(rest.get(1), Some(TokenTree::Punct(_)));
        let called = matches!(rest.first(), Some(TokenTree::Group(_)));
        let what = if method && self.backends.contains(&name) {
            format!("expected a layer, found the backend `{name}`")
        } else if called && vocab::is(Slot::Target, &name) {
            format!("expected a layer, found the target `{name}(..)`")
        } else {
            return false;
        };
        self.diag
            .error(first, what)
            .help("a target comes after `=>`: `\"/users\" => users with [auth],`");
        true
    }

    fn entries(&mut self, entries: Vec<Entry>, around: &Surroundings) {
        for entry in entries {
            match entry {
                Entry::Route(route) => self.route(*route, around),
                Entry::Scope(scope) => self.scope(scope, around),
            }
        }
    }

    fn scope(&mut self, scope: ast::Scope, around: &Surroundings) {
        let mut layers = around.layers.clone();
        layers.extend(self.layers(scope.layers));
        let own = match pattern::parse(&scope.path.value, false) {
            Ok(pattern) if matches!(pattern.tail, Tail::Rest(_)) => {
                self.diag
                    .error(
                        scope.path.span,
                        "`{*..}` is not allowed in a scope: nothing would be left for its routes",
                    )
                    .help("remove it from the scope, and write it on a route inside");
                None
            }
            Ok(pattern) => Some(pattern),
            Err(flaws) => {
                for flaw in flaws {
                    self.diag.flaw(&scope.path, flaw);
                }
                None
            }
        };
        let joined = match (own, &around.scope) {
            (None, _) | (_, Scope::Hole) => Scope::Hole,
            (Some(own), Scope::Root) => Scope::Path(own),
            (Some(own), Scope::Path(outer)) => Scope::Path(own.within(outer)),
        };
        let inside = Surroundings {
            host: around.host,
            scope: joined,
            layers,
            required: around.required || scope.required,
        };
        self.entries(scope.entries, &inside);
    }

    fn route(&mut self, route: ast::Route, around: &Surroundings) {
        let exact = route.exact.is_some();
        // Nobody knows what it takes.
        let mut hole = route.unknown_method;
        let own = match pattern::parse(&route.path.value, exact) {
            Ok(pattern) => Some(pattern),
            Err(flaws) => {
                for flaw in flaws {
                    self.diag.flaw(&route.path, flaw);
                }
                None
            }
        };
        let mut methods = Methods(0);
        for method in &route.methods {
            match self.method(method) {
                Some(method) => methods = methods.union(method),
                None => hole = true,
            }
        }
        let reading = route.target.as_ref().map_or(Reading::No, |target| {
            let (names, own) = (&self.names, self.own.as_ref());
            mount::read(&route, target, names, own, self.diag)
        });
        let mut wrong = matches!(reading, Reading::Wrong);
        let mount = match reading {
            Reading::Mount(mount) => Some(mount),
            Reading::No | Reading::Wrong => None,
        };
        let guard = route.guard.filter(|guard| {
            // Of a route that is being typed the guard may go on.
            let ambiguous = !hole
                && self
                    .meant
                    .is_guard_ambiguous(&guard.tokens, &self.names, self.diag);
            hole |= ambiguous;
            !ambiguous
        });
        let pattern = match (own, &around.scope) {
            _ if hole => None,
            (None, _) | (_, Scope::Hole) => None,
            (Some(own), Scope::Root) => Some(own),
            (Some(own), Scope::Path(scope)) => Some(own.within(scope)),
        };
        let pattern = pattern.filter(|pattern| self.names_are_distinct(pattern, &route.path));
        let pattern = pattern.filter(|pattern| {
            wrong |= mount.is_some() && mount::takes_all(&route.path, pattern, self.diag);
            !wrong
        });
        let mount = mount.filter(|_| pattern.is_some());
        let words: Vec<String> = route.methods.into_iter().map(|m| m.name).collect();
        let target = route
            .target
            .filter(|target| !wrong && !self.is_ambiguous(target));
        let is_backend = |name: &Ident| self.backends.contains(&name.to_string());
        let mut written = route.layers;
        let target = target.map(|target| {
            let takes_options =
                |name: &Ident| is_backend(name) || self.endpoints.contains(&name.to_string());
            let (target, layers) = of_backend(target, &is_backend, &takes_options, self.diag);
            written.extend(layers);
            target
        });
        let mut layers = around.layers.clone();
        layers.extend(self.layers(written));
        let accepts = match &guard {
            Some(guard) => guard::read(&guard.tokens, self.diag),
            // Its routes decide.
            None if mount.is_some() => Guard::unknown(),
            None => Guard::default(),
        };
        self.routes.push(Route {
            allowed: route.allowed,
            host: around.host,
            path: route.path,
            pattern,
            exact,
            methods: if methods.is_empty() {
                Methods::ALL
            } else {
                methods
            },
            label: if words.is_empty() {
                String::from("*")
            } else {
                words.join("|")
            },
            guard,
            accepts,
            mount,
            target: target
                .filter(|target| !matches!(target, Target::Expr(expr) if self.is_hole(expr))),
            places: layers.iter().map(|used| used.place).collect(),
            layers: layers.iter().map(|used| used.layer).collect(),
            required: around.required,
        });
    }

    /// The set of one method, which has a bit of its own from now on; none if there are too many, which is reported once.
    fn method(&mut self, method: &Method) -> Option<Methods> {
        let found = Methods::of(&method.name, &self.own_methods);
        if found != Methods::OTHER {
            return Some(found);
        }
        if self.own_methods.len() == Methods::MOST_OWN {
            if std::mem::replace(&mut self.too_many_methods, true) {
                return None;
            }
            self.diag
                .error(
                    method,
                    format!(
                        "too many methods: a gateway can name {} methods besides {}",
                        Methods::MOST_OWN,
                        METHODS.join(", ")
                    ),
                )
                .help("remove the methods: a route without a method accepts every method");
            return None;
        }
        self.own_methods.push(method.name.clone());
        Some(Methods::of(&method.name, &self.own_methods))
    }

    /// Reports words in a target that may be something else; says whether there are any.
    fn is_ambiguous(&mut self, target: &Target) -> bool {
        let mut found = false;
        each_expr(target, &mut |expr| {
            found |= self
                .meant
                .is_target_ambiguous(&expr.tokens, &self.names, self.diag);
        });
        found
    }

    fn names_are_distinct(&mut self, pattern: &Pattern, path: &Text) -> bool {
        let mut seen = HashSet::new();
        let twice = pattern.params().find(|name| !seen.insert(*name));
        if let Some(name) = twice {
            self.diag
                .error(
                    path.span,
                    format!(
                        "duplicate parameter `{name}`: it is also in a scope around this route"
                    ),
                )
                .help("rename one of them");
        }
        twice.is_none()
    }
}

/// Layers by number. A layer that is a name alone is one layer wherever it stands; every other is its own.
#[derive(Default)]
struct Layers {
    all: Vec<Expr>,
    named: HashMap<String, usize>,
}

impl Layers {
    fn intern(&mut self, layers: Vec<Expr>) -> Vec<Used> {
        layers
            .into_iter()
            .map(|layer| {
                let place = layer.span();
                let name = layer.only_ident().map(ToString::to_string);
                if let Some(&layer) = name.as_ref().and_then(|name| self.named.get(name)) {
                    return Used { layer, place };
                }
                let number = self.all.len();
                self.all.push(layer);
                self.named.extend(name.map(|name| (name, number)));
                Used {
                    layer: number,
                    place,
                }
            })
            .collect()
    }
}

/// The name of a variable, and its default if that is a string.
fn text_default(variable: &ast::Env) -> Option<(String, Text)> {
    match variable.default.as_ref()?.tokens.as_slice() {
        [token] => Some((variable.name.to_string(), text_of(token)?)),
        _ => None,
    }
}

/// What a route of a host takes for any segment is of none of the kinds that its routes ask for.
fn add_plain(routes: &[Route], hosts: &mut [Host]) {
    let mut widest = vec![None; hosts.len()];
    for route in routes {
        let segments = route.pattern.iter().flat_map(|pattern| &pattern.segments);
        let classes = segments.filter_map(|segment| match segment {
            Segment::Param(_, kind) => kind.class().filter(|class| *class != Class::Other),
            Segment::Literal(_) => None,
        });
        if let Some(widest) = widest.get_mut(route.host) {
            *widest = classes.map(Some).fold(*widest, Ord::max);
        }
    }
    for (host, widest) in hosts.iter_mut().zip(widest) {
        if let Some(widest) = widest {
            host.plain = Class::beyond(widest);
        }
    }
}

/// A route that names `GET` takes `HEAD` as well, unless a route of the same pattern names `HEAD`.
fn add_head(routes: &mut [Route]) {
    let place = |route: &Route| route.shape().map(|shape| (route.host, shape));
    let named: HashSet<(usize, String)> = routes
        .iter()
        .filter(|route| route.methods != Methods::ALL && route.methods.contains(Methods::HEAD))
        .filter_map(place)
        .collect();
    for route in routes {
        let taken = place(route).is_none_or(|place| named.contains(&place));
        if route.methods.contains(Methods::GET) && !taken {
            route.methods = route.methods.union(Methods::HEAD);
        }
    }
}
