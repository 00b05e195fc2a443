//! What is taken of an upstream that breaks the rules, where the user has said so.

/// What may come that no sender should write (RFC 9112, 2.2, 5.2 and 6.3); nothing of it by default.
///
/// None of it changes where a message ends: what two receivers could end at different bytes is never taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leniency {
    /// Several `Content-Length` fields with one value.
    pub(crate) equal_lengths: bool,
    /// A field that goes on in the next line, unless it says where the message ends.
    pub(crate) folded_fields: bool,
    /// Lines of a head that end with a line feed alone.
    pub(crate) bare_line_feeds: bool,
}
