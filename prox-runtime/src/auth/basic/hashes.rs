//! Hashes of passwords, and the files that Apache's `htpasswd` writes.

use std::{collections::HashMap, str::FromStr, sync::Arc};

use argon2::{
    Argon2,
    password_hash::{PasswordVerifier, phc::PasswordHash},
};

use crate::auth::lines::each_line;

/// The highest cost of a hash that is made for strangers: about a second, and 256 MiB.
const MOST_COST: u32 = 15;
const MOST_MEMORY: u32 = 256 * 1024;

/// A hash that can be verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Bcrypt(Arc<str>),
    Argon2id(Arc<str>),
}

impl Hash {
    /// Reads a hash.
    ///
    /// # Errors
    ///
    /// What to write instead, without the text itself: it may be a password.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        const ADVICE: &str = "write a bcrypt hash, which `htpasswd -B` makes, or an argon2id hash";
        let start = |prefixes: &[&str]| prefixes.iter().any(|prefix| text.starts_with(prefix));
        if start(&["$2a$", "$2b$", "$2y$"]) {
            let parts = bcrypt::HashParts::from_str(text)
                .map_err(|_| format!("a malformed bcrypt hash: {ADVICE}"))?;
            if text.len() != 60 || parts.get_cost() > MOST_COST {
                return Err(format!(
                    "a bcrypt hash whose cost is over {MOST_COST}, or malformed: {ADVICE}"
                ));
            }
            return Ok(Self::Bcrypt(text.into()));
        }
        if start(&["$argon2id$"]) {
            let hash = PasswordHash::new(text)
                .map_err(|_| format!("a malformed argon2id hash: {ADVICE}"))?;
            let memory =
                argon2::Params::try_from(&hash).map(|params| (params.m_cost(), params.t_cost()));
            let Ok((memory, passes)) = memory else {
                return Err(format!("a malformed argon2id hash: {ADVICE}"));
            };
            if memory > MOST_MEMORY || passes > 16 {
                return Err(String::from(
                    "an argon2id hash that takes over 256 MiB or 16 passes",
                ));
            }
            return Ok(Self::Argon2id(text.into()));
        }
        let kind = if start(&["$apr1$", "$1$"]) {
            "an MD5 hash can be guessed fast"
        } else if start(&["{SHA}"]) {
            "a SHA-1 hash without a salt can be guessed fast"
        } else if start(&["$5$", "$6$", "$argon2", "$y$", "$2x$"]) {
            "this kind of hash is not supported"
        } else {
            "this is not a hash that is supported: plain text, or `crypt`"
        };
        Err(format!("{kind}: {ADVICE}"))
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::Bcrypt(text) | Self::Argon2id(text) => text,
        }
    }

    /// Whether the password is the one of the hash. It takes its time, on purpose.
    pub(super) fn verify(&self, password: &str) -> bool {
        match self {
            Self::Bcrypt(text) => bcrypt::verify(password, text).unwrap_or(false),
            Self::Argon2id(text) => PasswordHash::new(text).is_ok_and(|hash| {
                Argon2::default()
                    .verify_password(password.as_bytes(), &hash)
                    .is_ok()
            }),
        }
    }
}

/// The users by their names.
#[derive(Clone, Debug, Default)]
pub(super) struct Users(HashMap<String, Hash>);

impl Users {
    pub(super) fn get(&self, user: &str) -> Option<&Hash> {
        self.0.get(user)
    }

    /// Somebody's hash.
    pub(super) fn any(&self) -> Option<&Hash> {
        self.0.values().next()
    }

    pub(super) fn insert(&mut self, name: String, hash: Hash) -> Option<Hash> {
        self.0.insert(name, hash)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Reads a file: `name:hash`, one a line; `#` begins a comment.
///
/// # Errors
///
/// All malformed lines.
pub(super) fn parse(text: &str) -> Result<Users, Vec<String>> {
    let mut users = Users::default();
    each_line(text, |line| {
        let (name, hash) = line
            .split_once(':')
            .filter(|(name, _)| !name.is_empty())
            .ok_or("expected `name:hash`; `htpasswd -B` writes such lines")?;
        match users.insert(name.to_owned(), Hash::read(hash)?) {
            None => Ok(()),
            Some(_) => Err(format!("duplicate user {name:?}")),
        }
    })?;
    Ok(users)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_cannot_be_verified_are_told_and_not_shown() {
        let text = "# users\nada:$2y$04$Q9VhNYQ8WQuQ8c1mpVd2WeCIWxKYcDyqkJf1h0D9Pc9MBk8ZsYQKe\n\
            bob:$apr1$a$b\ncat:{SHA}abc\ndan:swordfish\n:x\nnothing\n\
            eve:$2y$31$Q9VhNYQ8WQuQ8c1mpVd2WeCIWxKYcDyqkJf1h0D9Pc9MBk8ZsYQKe\n\
            fay:$2y$04$short\nada:$2y$04$Q9VhNYQ8WQuQ8c1mpVd2WeCIWxKYcDyqkJf1h0D9Pc9MBk8ZsYQKe\n\
            gus:$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAA\n\
            hal:$argon2id$v=19$m=99999999,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAA";
        let problems = parse(text).unwrap_err();
        let lines: Vec<_> = problems
            .iter()
            .map(|problem| problem.split(':').next().unwrap())
            .collect();
        assert_eq!(
            lines,
            [
                "line 3", "line 4", "line 5", "line 6", "line 7", "line 8", "line 9", "line 10",
                "line 11", "line 12"
            ]
        );
        assert!(!problems.join(" ").contains("swordfish"), "{problems:?}");
        assert!(
            problems
                .iter()
                .take(3)
                .all(|problem| problem.contains("htpasswd -B"))
        );
    }

    #[test]
    fn an_argon2id_hash_holds_for_its_password_alone() {
        use argon2::password_hash::PasswordHasher;

        let params = argon2::Params::new(64, 1, 1, None).unwrap();
        let argon = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
        let hash = argon
            .hash_password_with_salt(b"sesame", b"0123456789abcdef")
            .unwrap();
        let hash = Hash::read(&hash.to_string()).unwrap();
        assert!(hash.verify("sesame") && !hash.verify("sesam") && !hash.verify(""));
    }
}
