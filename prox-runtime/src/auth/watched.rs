//! A file that is read again while the gateway runs.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::{middleware::About, sync::lock};

/// How long a file is not read again.
const PAUSE: Duration = Duration::from_secs(10);

/// The most bytes of a file.
const LARGEST: u64 = 16 << 20;

/// What a file says, read again every 10 s. If it is broken, what it said before stays.
pub(super) struct Watched<T> {
    path: PathBuf,
    parse: fn(&str) -> Result<T, Vec<String>>,
    now: Mutex<Last<T>>,
}

struct Last<T> {
    text: Option<String>,
    value: Arc<T>,
}

impl<T: Default + Send + Sync + 'static> Watched<T> {
    /// Reads the file for the first time, and says what is wrong with it.
    pub(super) fn open(
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
            .map(|problem| format!("{shown}: {problem}"))
            .collect();
        let watched = Self {
            path: path.to_owned(),
            parse,
            now: Mutex::new(Last {
                text,
                value: Arc::new(value),
            }),
        };
        (Arc::new(watched), problems)
    }

    /// What it said when it was last whole.
    pub(super) fn get(&self) -> Arc<T> {
        Arc::clone(&lock(&self.now).value)
    }

    /// Reads it again; says whether it says something new.
    pub(super) fn again(&self) -> bool {
        let path = self.path.display();
        let text = match read(&self.path) {
            Ok(text) => text,
            Err(error) => {
                tracing::warn!(%path, %error, "a file cannot be read, what it said before stays");
                return false;
            }
        };
        if lock(&self.now).text.as_ref() == Some(&text) {
            return false;
        }
        let parsed = (self.parse)(&text);
        let mut now = lock(&self.now);
        now.text = Some(text);
        match parsed {
            Ok(value) => {
                now.value = Arc::new(value);
                true
            }
            Err(problems) => {
                let problems = problems.join("; ");
                tracing::warn!(%path, problems, "a file is broken, what it said before stays");
                false
            }
        }
    }

    /// Has it read again for as long as the gateway runs.
    pub(super) fn follow(self: &Arc<Self>, about: &mut About) {
        let watched = Arc::clone(self);
        about.task(move || {
            let watched = Arc::clone(&watched);
            async move {
                loop {
                    tokio::time::sleep(PAUSE).await;
                    let watched = Arc::clone(&watched);
                    // A panic of the parser would end this; the file stays as it was.
                    if tokio::task::spawn_blocking(move || watched.again())
                        .await
                        .is_err()
                    {
                        return;
                    }
                }
            }
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
        let (watched, problems) = Watched::open(&path, number);
        assert!(problems.is_empty());
        let about = Follows(Arc::clone(&watched)).into_layer().about();
        let [task] = about.tasks() else {
            unreachable!()
        };
        let work = tokio::spawn(task.begin());
        for (content, says) in [("2", 2), ("x", 2), ("3", 3), ("", 3), ("4", 4)] {
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
        let (_, problems) = Watched::open(&path, number);
        assert!(
            problems
                .iter()
                .any(|problem| problem.contains("cannot be read")),
            "{problems:?}"
        );
    }
}
