//! `require auth;`: every route below has to say who may enter.

use super::{
    Block, Parser,
    cursor::Cursor,
    marks::Slot,
    skip_line,
    words::{nearest, starts_line},
};

impl Parser<'_> {
    /// `require auth;`, from the word on.
    pub(super) fn require(&mut self, c: &mut Cursor<'_>, block: &mut Block) {
        let word = c.span();
        c.bump();
        self.mark_word(Slot::Required, c);
        let auth = c.is_word(0, "auth");
        if auth {
            if block.required {
                self.diag
                    .error(word, "duplicate `require auth`")
                    .help("remove it");
            }
            block.required = true;
            c.bump();
        } else {
            let near = c.ident(0).map(ToString::to_string);
            let near = near.is_some_and(|word| {
                nearest(&word, ["auth"]).is_some()
                    || matches!(
                        &*word,
                        "authentication" | "authenticated" | "authorization" | "login"
                    )
            });
            let place = if near { c.span() } else { word };
            if c.is_end() {
                self.diag.unfinished(
                    place,
                    "expected `auth` after `require`",
                    "write `require auth;`",
                );
                return;
            }
            self.diag
                .error(place, "expected `auth` after `require`")
                .help("write `require auth;`, and the layers in `with [..]`");
            if !near {
                if !starts_line(c) {
                    skip_line(c);
                }
                return;
            }
            // It was meant.
            block.required = true;
            c.bump();
        }
        self.semicolon(c, "`require auth`");
    }
}
