//! The user and the password of a request (RFC 7617, 2).

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// Standard base64, with or without its padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The longest credentials that are looked at.
const LONGEST: usize = 1024;

/// The user and the password; the first colon divides them. Nothing if they are malformed, too long, or have control characters.
pub(super) fn read(coded: &str) -> Option<(String, String)> {
    if coded.len() > LONGEST {
        return None;
    }
    let text = String::from_utf8(BASE64.decode(coded).ok()?).ok()?;
    if text.chars().any(char::is_control) {
        return None;
    }
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}
