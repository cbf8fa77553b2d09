//! What a leg's variables want done at a certain moment of its life (`execute_on_answer`, `api_on_ring`, …).

use super::missing::{self, LEFT_OUT};
use super::table::{self, Run};
use crate::channel::{Cause, Course, Leg, Route};
use crate::dialplan::{Expanded, Template, plain, takes_fields};
use tracing::{info, warn};

/// Runs an application in the middle of whatever the leg does. One that takes its time is left out with a line.
pub(super) fn execute(leg: &mut Leg, name: &str, argument: &str) {
    let data = Template::new(argument).expand(leg);
    match table::find(name).map(|application| application.run) {
        Some(Run::Plain(run)) => run(leg, &data),
        Some(Run::Waits(_)) if name.eq_ignore_ascii_case("transfer") => transfer(leg, &data),
        Some(Run::Waits(_)) => warn!(
            "{} {}: {name}({argument}) takes its time and cannot run at a moment of the call yet; left out",
            leg.uuid,
            leg.name()
        ),
        None if missing::is_known(name) || LEFT_OUT.iter().any(|known| known.eq_ignore_ascii_case(name)) => {
            warn!("{} {}: {name}({argument}) is not provided yet and left out", leg.uuid, leg.name());
        }
        None => warn!("{} {}: invalid application {name}({argument})", leg.uuid, leg.name()),
    }
}

/// `destination [dialplan] [context]`.
fn transfer(leg: &mut Leg, data: &Expanded) {
    let words: Vec<String> = data.guarded().split_whitespace().map(|word| plain(word).into_owned()).collect();
    let Some(destination) = words.first().filter(|word| !word.starts_with('-')) else {
        warn!(
            "{} {}: transfer {}: only `destination [dialplan] [context]` here",
            leg.uuid,
            leg.name(),
            data.text
        );
        return;
    };
    let route = Route {
        destination: destination.clone(),
        dialplan: words.get(1).cloned(),
        context: words.get(2).cloned(),
        wire: data.wire,
    };
    leg.go(Course::Extension(route), Cause::NORMAL_CLEARING);
}

/// Runs an API command and logs its answer.
pub(super) fn command(leg: &Leg, name: &str, arguments: &str) {
    let arguments = Template::new(arguments).expand(leg);
    let functions = leg.exchange.functions.get();
    let (text, wire) = match takes_fields(name) {
        true => (arguments.fields(), false),
        false => (arguments.guarded(), arguments.wire),
    };
    match functions.and_then(|f| f.call(leg, name, text, wire)) {
        Some((answer, _)) => info!("{} {}: {name} {}: {answer}", leg.uuid, leg.name(), arguments.text),
        None => warn!("{} {}: there is no API function {name}", leg.uuid, leg.name()),
    }
}
