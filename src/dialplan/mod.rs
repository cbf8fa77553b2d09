//! The XML dialplan: contexts, the hunt, conditions, expansion of `${…}`.
//!
//! [`Dialplan::compile`] turns the configuration's dialplan section into contexts with compiled expressions. A leg
//! that enters routing asks [`Dialplan::hunt`] and gets the applications to run; before each it expands the data
//! with [`Template::expand`]. What the hunt needs of the leg is the trait [`Caller`], what an expansion needs is
//! [`Scope`]. Nothing here waits, and the work of a hunt and of an expansion is bounded.
//!
//! Text from the wire is data (DESIGN §5): captures and variables marked [`Value::wire`] are never taken for `${…}`.

mod clock;
mod compile;
mod expand;
mod hunt;
pub mod inline;
mod on_leg;
mod pattern;
mod plan;
mod quote;
mod scope;
mod separate;
mod url;
pub mod words;

pub use clock::{is_number, is_true, point};
pub use compile::Applications;
pub use expand::{
    Expanded, LONGEST, cut, expand, expand_marked, has_work, leading_number, needs_marking, trimmed,
};
pub use hunt::{Action, Hunt, Route};
pub use on_leg::Hunter;
pub use pattern::{BadPattern, Captures, Pattern, StepLimit, substitute};
pub use plan::Dialplan;
pub use quote::{Template, guarded, plain, takes_fields, with_slashes};
pub use scope::{Caller, Scope, Value};
pub use separate::separate;
pub use url::url_decoded;
