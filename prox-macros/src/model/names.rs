//! Whose a name is where a word of the language could stand: the user's, or the language's.
//!
//! A name that the user has declared is the user's. A word is one only in its slot, and there only where it is called or
//! placed as one.

use std::collections::{HashMap, HashSet};

use proc_macro2::{TokenStream, TokenTree};

use crate::{
    around::{Around, Calls, Function, What, pattern},
    syntax::{
        ast::{Env, Named, Setup},
        calls::plain,
    },
};

/// What has a name in the gateway itself, and around it.
#[derive(Default)]
pub(crate) struct Names {
    own: HashMap<String, Own>,
    /// The fields and the variables of the environment, whatever else has their names.
    variables: HashSet<String>,
    around: Around,
}

/// Whose a name is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// It is a word.
    Word,
    /// The user has declared it.
    User,
    /// It is a word, unless an item of the module has the name, which only rustc can tell.
    Unknown,
    /// The word and what the user has declared could both be meant; this says what that is.
    Both(String),
}

#[derive(Clone, Copy)]
enum Own {
    Env,
    Backend,
    Field(Calls),
    Let(Calls),
}

impl Names {
    pub(crate) fn new(named: Option<&Named>, env: &[Env], setup: &[Setup], around: Around) -> Self {
        let mut own = HashMap::new();
        let mut see = |name: String, what| {
            own.insert(plain(&name).to_owned(), what);
        };
        let stream = |tokens: &[TokenTree]| tokens.iter().cloned().collect::<TokenStream>();
        for field in named.iter().flat_map(|named| &named.fields) {
            let calls = Calls::of_type(stream(&field.ty));
            see(field.name.to_string(), Own::Field(calls));
        }
        for variable in env {
            see(variable.name.to_string(), Own::Env);
        }
        for setup in setup {
            match setup {
                Setup::Backend(backend) => see(backend.name.to_string(), Own::Backend),
                Setup::Let(binding) => {
                    let calls = match binding.pattern.as_slice() {
                        [TokenTree::Ident(_)] => Calls::of_value(stream(&binding.value.tokens)),
                        [TokenTree::Ident(_), TokenTree::Punct(_), ty @ ..] => {
                            Calls::of_type(stream(ty))
                        }
                        _ => Calls::Maybe,
                    };
                    for name in pattern(stream(&binding.pattern)) {
                        see(name, Own::Let(calls));
                    }
                }
            }
        }
        let fields = named.iter().flat_map(|named| &named.fields);
        let variables = fields
            .map(|field| &field.name)
            .chain(env.iter().map(|variable| &variable.name))
            .map(|name| plain(&name.to_string()).to_owned());
        Self {
            variables: variables.collect(),
            own,
            around,
        }
    }

    /// Whether the gateway itself declares the name.
    pub(crate) fn is_own(&self, name: &str) -> bool {
        self.own.contains_key(plain(name))
    }

    /// Whether a field, a variable of the environment, or one of a function around the gateway has the name.
    pub(crate) fn is_variable(&self, name: &str) -> bool {
        let name = plain(name);
        self.variables.contains(name) || self.around.local(name).is_some()
    }

    /// Whether a type of the user has the name.
    pub(crate) fn is_type(&self, name: &str) -> bool {
        self.around.ty(name).is_some()
    }

    /// Whether a type of the user has the name, and not one of `prox` that is imported.
    pub(crate) fn is_own_type(&self, name: &str) -> bool {
        self.around.is_own_type(name)
    }

    /// Whether the name of a layer is the word, as far as the text tells. The user's can be a closure or a function as well.
    pub(crate) fn is_layer_word(&self, name: &str) -> bool {
        !self.is_own(name) && !self.around.has_value(name)
    }

    /// What stands beside the gateway under the name of a type.
    pub(crate) fn around(&self) -> &Around {
        &self.around
    }

    /// Whose the name is as a value, where a policy stands. A function or a backend is never one.
    pub(crate) fn value(&self, name: &str) -> Whose {
        match self.own.get(plain(name)) {
            Some(
                Own::Env
                | Own::Field(Calls::Never | Calls::Maybe)
                | Own::Let(Calls::Never | Calls::Maybe),
            ) => return Whose::User,
            Some(Own::Backend | Own::Field(Calls::As(_)) | Own::Let(Calls::As(_))) => {
                return Whose::Word;
            }
            None => {}
        }
        match self.around.local(name).map(|found| found.what) {
            Some(What::Variable(Calls::As(_)) | What::Function(_)) => Whose::Word,
            Some(_) => Whose::User,
            None if self.around.function(name).is_some() => Whose::Word,
            None => Whose::Unknown,
        }
    }

    /// Whose the name is where it is called with so many arguments in the slot of the word.
    pub(crate) fn call_in_slot(&self, name: &str, arguments: usize, itself: bool) -> Whose {
        let fits =
            |function: &Function| !function.is_async && function.arguments == arguments && !itself;
        let own = match self.own.get(plain(name)) {
            Some(Own::Field(Calls::As(function))) => Some((function, "a field")),
            Some(Own::Let(Calls::As(function))) => Some((function, "a `let` line")),
            Some(_) => return Whose::Word,
            None => None,
        };
        if let Some((function, what)) = own {
            return if fits(function) {
                Whose::Both(format!("{what} of this gateway"))
            } else {
                Whose::Word
            };
        }
        match self.around.function(name) {
            Some((function, found)) if fits(&function) => {
                let what = match found.what {
                    What::Function(_) => "the function",
                    _ => "the closure",
                };
                Whose::Both(format!("{what} in line {}", found.line))
            }
            _ => Whose::Word,
        }
    }

    /// Whose the name is where it is called anywhere else.
    pub(crate) fn call(&self, name: &str) -> Whose {
        match self.own.get(plain(name)) {
            Some(
                Own::Field(Calls::As(_) | Calls::Maybe) | Own::Let(Calls::As(_) | Calls::Maybe),
            ) => {
                return Whose::User;
            }
            Some(_) => return Whose::Word,
            None => {}
        }
        match self.around.local(name).map(|found| found.what) {
            Some(What::Variable(Calls::Never) | What::Constant) => Whose::Word,
            Some(_) => Whose::User,
            None if self.around.function(name).is_some() => Whose::User,
            None => Whose::Unknown,
        }
    }
}
