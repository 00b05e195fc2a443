//! A file that is read again while the gateway runs.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use crate::{middleware::About, reread, sync::lock};

/// How long a file is not read again.
const PAUSE: Duration = Duration::from_secs(10);

/// The most bytes of a file.
const LARGEST: u64 = 16 << 20;

/// What is written in a file, or in the gateway.
pub(super) enum Source<T> {
    File(Arc<Watched<T>>),
    Fixed(Arc<T>),
}

impl<T: Default + Send + Sync + 'static> Source<T> {
    /// As [`Watched::open`].
    pub(super) fn open(
        option: &str,
        path: &Path,
        parse: fn(&str) -> Result<T, Vec<String>>,
    ) -> (Self, Vec<String>) {
        let (watched, problems) = Watched::open(option, path, parse);
        (Self::File(watched), problems)
    }

    pub(super) fn get(&self) -> Arc<T> {
        match self {
            Self::File(watched) => watched.get(),
            Self::Fixed(value) => Arc::clone(value),
        }
    }

    /// As [`Watched::follow`], if it is a file.
    pub(super) fn follow(&self, about: &mut About) {
        if let Self::File(watched) = self {
            watched.follow(about);
        }
    }
}

impl<T> Clone for Source<T> {
    fn clone(&self) -> Self {
        match self {
            Self::File(watched) => Self::File(Arc::clone(watched)),
            Self::Fixed(value) => Self::Fixed(Arc::clone(value)),
        }
    }
}

/// What a file says, read again every 10 s. If it is broken, what it said before stays.
pub(super) struct Watched<T> {
    path: PathBuf,
    parse: fn(&str) -> Result<T, Vec<String>>,
    /// The text that was parsed last, whole or broken.
    seen: Mutex<Option<String>>,
    value: RwLock<Arc<T>>,
}

impl<T: Default + Send + Sync + 'static> Watched<T> {
    /// Reads the file for the first time, and says what is wrong with it. `option` is the method that names the file, for the
    /// problems.
    pub(super) fn open(
        option: &str,
        path: &Path,
        parse: fn(&str) -> Result<T, Vec<String>>,
    ) -> (Arc<Self>, Vec<String>) {
        let (text, value, problems) = match read(path) {
            Ok(text) => match parse(&text) {
                Ok(value) => (Some(text), value, Vec::new()),
                Err(problems) => (Some(text), T::default(), problems),
            },
            Err(error) => (None, T::default(), vec![format!("cannot be read: {error}")]),
        };
        let shown = path.display();
        let problems = problems
            .into_iter()
            .map(|problem| format!("`{option}`: {shown}: {problem}"))
            .collect();
        let watched = Self {
            path: path.to_owned(),
            parse,
            seen: Mutex::new(text),
            value: RwLock::new(Arc::new(value)),
        };
        (Arc::new(watched), problems)
    }

    /// What it said when it was last whole.
    pub(super) fn get(&self) -> Arc<T> {
        Arc::clone(&self.value.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads it again.
    fn again(&self) {
        let path = self.path.display();
        let text = match read(&self.path) {
            Ok(text) => text,
            Err(error) => {
                tracing::warn!(target: "prox", %path, %error, "a file cannot be read, what it said before stays");
                return;
            }
        };
        if lock(&self.seen).as_ref() == Some(&text) {
            return;
        }
        let parsed = (self.parse)(&text);
        *lock(&self.seen) = Some(text);
        match parsed {
            Ok(value) => {
                let mut current = self.value.write().unwrap_or_else(PoisonError::into_inner);
                *current = Arc::new(value);
            }
            Err(problems) => {
                let problems = problems.join("; ");
                tracing::warn!(target: "prox", %path, problems, "a file is broken, what it said before stays");
            }
        }
    }

    /// Reads it again for as long as the gateway runs.
    pub(super) fn follow(self: &Arc<Self>, about: &mut About) {
        let watched = Arc::clone(self);
        about.task(move || {
            let watched = Arc::clone(&watched);
            reread::every(PAUSE, "a file of credentials", move || watched.again())
        });
    }
}

fn read(path: &Path) -> Result<String, std::io::Error> {
    let mut text = String::new();
    let file = fs::File::open(path)?;
    file.take(LARGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(std::io::Error::other("it has over 16 MiB"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::middleware::IntoLayer;

    fn number(text: &str) -> Result<u32, Vec<String>> {
        assert!(text != "panic");
        text.trim()
            .parse()
            .map_err(|_| vec![String::from("line 1: not a number")])
    }

    struct Follows(Arc<Watched<u32>>);

    impl crate::middleware::Middleware for Follows {
        async fn handle(
            &self,
            req: crate::handler::Request,
            next: crate::middleware::Next,
        ) -> crate::handler::Response {
            next.run(req).await
        }

        fn about(&self, about: &mut About) {
            self.0.follow(about);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_is_read_again_and_a_broken_one_changes_nothing() {
        let path = std::env::temp_dir().join(format!("prox-watched-{}", std::process::id()));
        fs::write(&path, "1").unwrap();
        let (watched, problems) = Watched::open("Test::file", &path, number);
        assert!(problems.is_empty());
        let about = Follows(Arc::clone(&watched)).into_layer().about();
        let [task] = about.tasks() else {
            unreachable!()
        };
        let work = tokio::spawn(task.begin());
        for (content, says) in [
            ("2", 2),
            ("x", 2),
            ("panic", 2),
            ("3", 3),
            ("", 3),
            ("4", 4),
        ] {
            fs::write(&path, content).unwrap();
            assert_ne!((*watched.get(), content), (says, "2"));
            // Time goes on only while nothing is read.
            tokio::time::sleep(PAUSE * 3).await;
            assert_eq!(*watched.get(), says, "{content:?}");
        }
        fs::remove_file(&path).unwrap();
        tokio::time::sleep(PAUSE * 3).await;
        assert_eq!(*watched.get(), 4);
        work.abort();
        let (_, problems) = Watched::open("Test::file", &path, number);
        assert!(
            problems
                .iter()
                .any(|problem| problem.starts_with("`Test::file`: ")
                    && problem.contains(": cannot be read")),
            "{problems:?}"
        );
    }
}
