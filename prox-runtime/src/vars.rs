//! Where variables come from: the process's environment, or values given in code.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    env::VarError,
    fmt,
    sync::Arc,
};

thread_local! {
    /// The environment of the innermost [`Env::within`] on this thread.
    static CURRENT: RefCell<Option<Env>> = const { RefCell::new(None) };
}

/// The variables from which a gateway is made: those of the process, or values given in code.
///
/// An array of pairs is an environment with these variables and no others, so a test depends on nothing outside of it and
/// changes nothing that other tests see. A gateway with a name takes one in `with_env`, beside the arguments of `new`. The
/// [`Server`](crate::Server) of the gateway reads `HOST`, `PORT` and `TRUSTED_PROXIES` from the same environment.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::Env;
///
/// let only = Env::from([("USERS_URL", "http://127.0.0.1:9000")]);
/// let over = Env::process().set("RATE", 5).unset("HOST");
/// ```
///
/// With a gateway that is called `Shop`:
///
/// ```ignore
/// let shop = Shop::with_env([("USERS_URL", "http://127.0.0.1:9000")])?;
/// ```
///
/// A gateway without a name, and any function that makes gateways, is called [within](Self::within) an environment.
///
/// Cloning it is cheap. `{:?}` shows the names and no values, since values may be secrets.
#[derive(Clone)]
pub struct Env {
    /// Whether a variable that `given` does not name is that of the process.
    process: bool,
    given: Arc<BTreeMap<String, Option<String>>>,
    /// The values of variables that neither `given` nor the process has.
    otherwise: Arc<BTreeMap<String, String>>,
    /// Whether a given name that nothing reads is an error.
    strict: bool,
}

impl Env {
    /// The environment of the process.
    pub fn process() -> Self {
        Self {
            process: true,
            given: Arc::default(),
            otherwise: Arc::default(),
            strict: false,
        }
    }

    /// An environment without variables.
    pub fn empty() -> Self {
        Self {
            process: false,
            ..Self::process()
        }
    }

    /// Gives a variable a value, whatever it had. An empty value counts as a variable that is not set.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a number is written as it is"
    )]
    pub fn set(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        Arc::make_mut(&mut self.given).insert(name.into(), Some(value.to_string()));
        self
    }

    /// Makes a variable one that is not set.
    pub fn unset(mut self, name: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.given).insert(name.into(), None);
        self
    }

    /// Gives variables values where they have none.
    pub(crate) fn otherwise<'v>(
        mut self,
        variables: impl IntoIterator<Item = (&'v str, &'v str)>,
    ) -> Self {
        let own = variables
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Arc::make_mut(&mut self.otherwise).extend(own);
        self
    }

    /// Calls `make`; a gateway that is made meanwhile on this thread reads its variables from this environment.
    ///
    /// `std::env::var` is not changed, and neither are other threads.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// # fn gateway() -> prox::Result { Ok(()) }
    /// let made = prox::Env::from([("RATE", "5")]).within(gateway);
    /// ```
    pub fn within<T>(&self, make: impl FnOnce() -> T) -> T {
        let _restored = Restore(CURRENT.replace(Some(self.clone())));
        make()
    }

    /// As [`within`](Self::within); a variable that the gateway does not read is an error of the first gateway that is made.
    #[doc(hidden)]
    pub fn within_strictly<T>(mut self, make: impl FnOnce() -> T) -> T {
        self.strict = true;
        self.within(make)
    }

    /// The environment of the innermost [`within`](Self::within), or that of the process.
    pub(crate) fn current() -> Self {
        CURRENT.with_borrow(Option::clone).unwrap_or_default()
    }

    /// As [`current`](Self::current), and whether the caller is the one that has to look for names that nothing reads.
    pub(crate) fn take_current() -> (Self, bool) {
        let strict = CURRENT.with_borrow_mut(|current| {
            current
                .as_mut()
                .is_some_and(|current| std::mem::replace(&mut current.strict, false))
        });
        (Self::current(), strict)
    }

    /// The value of a variable. An empty one counts as not set, as in shells and manifests.
    ///
    /// # Errors
    ///
    /// What is wrong with it whatever its type is.
    pub(crate) fn get(&self, name: &str) -> Result<Option<String>, &'static str> {
        let value = match self.given.get(name) {
            Some(given) => Ok(given.clone()),
            None if !self.process => Ok(None),
            None => match std::env::var(name) {
                Ok(text) => Ok(Some(text)),
                Err(VarError::NotPresent) => Ok(None),
                Err(VarError::NotUnicode(_)) => Err("is not valid UTF-8"),
            },
        };
        let value = value?.filter(|text| !text.is_empty());
        let otherwise = || self.otherwise.get(name).filter(|text| !text.is_empty());
        Ok(match self.given.get(name) {
            Some(_) => value,
            None => value.or_else(|| otherwise().cloned()),
        })
    }

    /// The names of all that is set.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let process = self.process.then(std::env::vars_os).into_iter().flatten();
        let process = process.filter_map(|(name, _)| name.into_string().ok());
        let own = self.given.keys().chain(self.otherwise.keys()).cloned();
        let mut names: BTreeSet<String> = process.chain(own).collect();
        names.retain(|name| !matches!(self.get(name), Ok(None)));
        names
    }

    /// The value of a secret: of the variable, or else the content of the file that `NAME_FILE` names, without its last line end.
    ///
    /// # Errors
    ///
    /// What is wrong, in words to stand behind the name, without the value.
    pub(crate) fn secret(&self, name: &str) -> Result<Option<String>, String> {
        let file = format!("{name}_FILE");
        let path = self.get(&file);
        let path = path.map_err(|problem| format!("has a {file} that {problem}"))?;
        match (self.get(name)?, path) {
            (Some(_), Some(_)) => Err(format!("and {file} are both set: unset one of them")),
            (text, None) => Ok(text),
            (None, Some(path)) => {
                let text = std::fs::read_to_string(&path).map_err(|error| {
                    format!("cannot be read from the file {path:?} of {file}: {error}")
                })?;
                let text = text.strip_suffix('\n').unwrap_or(&text);
                let text = text.strip_suffix('\r').unwrap_or(text);
                if text.is_empty() {
                    return Err(format!("is empty in the file {path:?} of {file}"));
                }
                Ok(Some(text.to_owned()))
            }
        }
    }

    /// Whether a file is named for a variable.
    pub(crate) fn names_file(&self, name: &str) -> bool {
        matches!(self.get(&format!("{name}_FILE")), Ok(Some(_)))
    }

    /// The names that were given in code.
    pub(crate) fn given(&self) -> impl Iterator<Item = &str> {
        self.given.keys().map(String::as_str)
    }
}

/// The environment of the process.
impl Default for Env {
    fn default() -> Self {
        Self::process()
    }
}

/// These variables and no others.
impl<N: Into<String>, V: ToString, const COUNT: usize> From<[(N, V); COUNT]> for Env {
    fn from(given: [(N, V); COUNT]) -> Self {
        given.into_iter().collect()
    }
}

/// These variables and no others.
impl<N: Into<String>, V: ToString> From<Vec<(N, V)>> for Env {
    fn from(given: Vec<(N, V)>) -> Self {
        given.into_iter().collect()
    }
}

/// A copy, so that one environment can be used for several gateways.
impl From<&Env> for Env {
    fn from(env: &Env) -> Self {
        env.clone()
    }
}

/// These variables and no others; of two values of one name the last counts.
impl<N: Into<String>, V: ToString> FromIterator<(N, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(given: I) -> Self {
        given
            .into_iter()
            .fold(Self::empty(), |env, (name, value)| env.set(name, value))
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env")
            .field("process", &self.process)
            .field("given", &self.given.keys())
            .finish_non_exhaustive()
    }
}

/// Puts the environment around a call back, also when the call panics.
struct Restore(Option<Env>);

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_variable_hides_that_of_the_process() {
        let name = "PATH";
        assert!(Env::process().get(name).unwrap().is_some(), "tests have it");
        let value = |env: &Env| env.get(name).unwrap();
        assert_eq!(value(&Env::process().set(name, 7)).as_deref(), Some("7"));
        assert_eq!(value(&Env::process().unset(name)), None);
        assert_eq!(value(&Env::process().set(name, "")), None);
        assert_eq!(value(&Env::empty()), None);
        assert_eq!(value(&Env::from([("OTHER", "x")])), None);
        assert_eq!(value(&Env::from([(name, "x")])).as_deref(), Some("x"));
    }

    #[test]
    fn a_value_otherwise_is_for_what_is_not_set() {
        let file = [
            ("PATH", "file"),
            ("PROX_TEST_UNSET", "file"),
            ("PROX_TEST_EMPTY", ""),
        ];
        let env = Env::process().otherwise(file);
        assert_ne!(env.get("PATH").unwrap().as_deref(), Some("file"));
        assert_eq!(env.get("PROX_TEST_UNSET").unwrap().as_deref(), Some("file"));
        assert_eq!(env.get("PROX_TEST_EMPTY"), Ok(None));
        assert_eq!(
            env.clone().unset("PROX_TEST_UNSET").get("PROX_TEST_UNSET"),
            Ok(None)
        );
        let names = env.set("PROX_TEST_GIVEN", 1).names();
        for (name, is_set) in [
            ("PATH", true),
            ("PROX_TEST_UNSET", true),
            ("PROX_TEST_GIVEN", true),
            ("PROX_TEST_EMPTY", false),
        ] {
            assert_eq!(names.contains(name), is_set, "{name}");
        }
    }

    #[test]
    fn within_holds_for_the_call_and_no_longer() {
        let seen = || Env::current().get("A").unwrap();
        let one = Env::from([("A", 1)]);
        let two = Env::from([("A", 2)]);
        one.within(|| {
            assert_eq!(two.within(seen).as_deref(), Some("2"));
            assert_eq!(seen().as_deref(), Some("1"));
            let other = std::thread::spawn(|| Env::current().given().count());
            assert_eq!(other.join().unwrap(), 0, "other threads do not see it");
        });
        let panicked = std::panic::catch_unwind(|| one.within(|| panic!("on purpose")));
        assert!(panicked.is_err());
        assert_eq!(Env::current().given().count(), 0);
    }

    #[test]
    fn the_first_to_ask_looks_for_names_that_nothing_reads() {
        Env::from([("A", 1)]).within_strictly(|| {
            assert!(Env::take_current().1);
            assert!(!Env::take_current().1);
        });
        assert!(!Env::take_current().1);
    }

    #[test]
    fn a_secret_may_be_in_a_file() {
        let folder = std::env::temp_dir().join(format!("prox-secret-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        for (content, wanted) in [
            ("hunter2", "hunter2"),
            ("hunter2\n", "hunter2"),
            ("hunter2\r\n", "hunter2"),
            ("two\nlines\n\n", "two\nlines\n"),
            (" blanks ", " blanks "),
        ] {
            let env = Env::from([("A_FILE", file("a", content))]);
            assert_eq!(env.secret("A").unwrap().as_deref(), Some(wanted));
            assert!(env.names_file("A"));
        }
        assert_eq!(Env::empty().secret("A"), Ok(None));
        assert_eq!(
            Env::from([("A", "x")]).secret("A").unwrap().as_deref(),
            Some("x")
        );
        let path = file("a", "hunter2");
        let both = Env::from([("A", "hunter3"), ("A_FILE", &path)]);
        let error = both.secret("A").unwrap_err();
        assert!(error.contains("and A_FILE are both set"), "{error}");
        assert!(!error.contains("hunter"), "{error}");
        let empty = Env::from([("A_FILE", file("empty", "\n"))]);
        assert!(
            empty
                .secret("A")
                .unwrap_err()
                .contains("is empty in the file")
        );
        std::fs::remove_dir_all(&folder).unwrap();
        let error = Env::from([("A_FILE", path)]).secret("A").unwrap_err();
        assert!(
            error.contains("cannot be read from the file") && error.contains("of A_FILE"),
            "{error}"
        );
    }

    #[test]
    fn values_are_not_shown() {
        let shown = format!("{:?}", Env::from([("TOKEN", "hunter2")]));
        assert!(
            shown.contains("TOKEN") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
