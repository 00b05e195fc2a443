//! A reader of DER (X.690).

#[cfg(feature = "jwt")]
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OID: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;

/// The elements of a DER encoding that have not been read yet.
pub(crate) struct Der<'d>(pub(crate) &'d [u8]);

impl<'d> Der<'d> {
    /// The tag and the content of the next element.
    pub(crate) fn next(&mut self) -> Option<(u8, &'d [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let length = if first < 0x80 {
            usize::from(first)
        } else {
            // Four bytes are more than any certificate needs; none is the indefinite form, which DER has not.
            let count = usize::from(first & 0x7f);
            let (bytes, after) = rest.split_at_checked(count)?;
            rest = after;
            if !(1..=4).contains(&count) {
                return None;
            }
            bytes
                .iter()
                .fold(0, |length, &byte| length << 8 | usize::from(byte))
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// The content of the next element, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Option<&'d [u8]> {
        let (found, content) = self.next()?;
        (found == tag).then_some(content)
    }

    /// Passes over the next element if it has this tag.
    pub(crate) fn optional(&mut self, tag: u8) {
        if self.0.first() == Some(&tag) {
            self.next();
        }
    }
}
