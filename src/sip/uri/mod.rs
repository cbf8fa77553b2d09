//! URIs: `sip:`, `sips:`, `tel:` by their parts, any other scheme kept as it is (RFC 3261 §19.1, RFC 3966).
//!
//! A [`Uri`] keeps its text and knows where its parts are: reading (`parts`), making and changing (`build`), equality
//! (`equal`), escapes (`escape`).

mod build;
mod equal;
mod escape;
mod parts;

pub use escape::{escape_user, unescape};
pub use parts::{Scheme, Uri};
pub(crate) use parts::{Span, finish, unbracketed};
