//! What each mistake is told.

use super::messages;
