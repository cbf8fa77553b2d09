//! `originate`: calls somebody, and sends whoever answers to an extension or an application (mod_commands.c).
//!
//! The calling is done by a task of its own for a leg without a far end. Whoever asked may go away meanwhile: the call is
//! then made to its end all the same, as in FreeSWITCH, within the time limits of its dial string.

use super::command::{Command, usage, waits};
use super::desk::Desk;
use crate::channel::{Cause, Course, Exchange, Leg, NoAnswer, Route, UserAgent};
use crate::dial;
use crate::dialplan::separate;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tracing::{info, warn};

pub(super) const COMMANDS: &[Command] = &[waits(
    "originate",
    "<call url> <exten>|&<application_name>(<app_args>) [<dialplan>] [<context>] [<cid_name>] [<cid_num>] \
     [<timeout_sec>]",
    "call somebody",
    |desk, text| Box::pin(originate(desk, text)),
)];

/// How many may be under way at a time; `max-sessions` and `sessions-per-second` count for each leg they make, too.
static PLACES: Semaphore = Semaphore::const_new(2_000);

/// How long it rings when nobody says otherwise, in seconds.
const TIMEOUT: &str = "60";

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Wish {
    dial_string: String,
    course: Way,
    name: Option<String>,
    number: Option<String>,
    timeout: Option<String>,
}

/// What the leg that answers is to do.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    Application { name: String, arguments: String },
    Extension { number: String, dialplan: String, context: String },
}

/// `originate DIALSTRING EXTEN|&APP(ARGS) [DIALPLAN] [CONTEXT] [CID_NAME] [CID_NUM] [SECONDS]`; `undef` leaves one out. The
/// answer comes when somebody has answered, or sends early media that are not ignored.
async fn originate(desk: &Desk, text: &str) -> String {
    let Some(wish) = Wish::read(text) else { return usage("originate") };
    let Ok(place) = PLACES.try_acquire() else {
        warn!("originate {}: too many are under way", wish.dial_string);
        return failed(Cause::SWITCH_CONGESTION);
    };
    let exchange = desk.exchange.clone();
    let work = tokio::spawn(async move {
        let _place = place;
        call(exchange, wish).await
    });
    match work.await {
        Ok(Ok(uuid)) => format!("+OK {uuid}\n"),
        Ok(Err(cause)) => failed(cause),
        Err(_) => failed(Cause::NORMAL_TEMPORARY_FAILURE),
    }
}

fn failed(cause: Cause) -> String {
    format!("-ERR {}\n", cause.name())
}

async fn call(exchange: Arc<Exchange>, wish: Wish) -> Result<Arc<str>, Cause> {
    let Wish { dial_string, course, name, number, timeout } = wish;
    let agent = usual_agent(&exchange).ok_or(Cause::CHAN_NOT_IMPLEMENTED)?;
    let nobody = Leg::nobody(exchange, agent, name.as_deref(), number.as_deref());
    let mut nobody = nobody.ok_or(Cause::SWITCH_CONGESTION)?;
    nobody.variables.set("call_timeout", timeout.as_deref().unwrap_or(TIMEOUT));
    info!("originate {dial_string}");
    let winner = match dial::originate(&mut nobody, &dial_string).await {
        Ok(winner) => winner,
        Err(failure) => {
            info!("originate {dial_string}: {}", failure.cause.name());
            return Err(failure.cause);
        }
    };
    let course = match course {
        Way::Application { name, arguments } => {
            Course::Application { name: name.into(), arguments: arguments.into() }
        }
        Way::Extension { number, dialplan, context } => {
            Course::Extension(Route { dialplan: Some(dialplan), context: Some(context), ..Route::to(number) })
        }
    };
    match winner.mailbox.ask(move |leg| leg.set_off(course)).await {
        // One that hung up in this moment has answered all the same.
        Ok(_) | Err(NoAnswer::NoChannel) => Ok(winner.uuid),
        Err(NoAnswer::Busy) => Err(Cause::NORMAL_TEMPORARY_FAILURE),
    }
}

/// The profile for dial strings that name none: `internal`, else the first by name.
fn usual_agent(exchange: &Exchange) -> Option<Arc<UserAgent>> {
    let agents = exchange.agents.load();
    let first = || agents.values().min_by(|a, b| a.name.cmp(&b.name));
    agents.get("internal").or_else(first).cloned()
}

impl Wish {
    fn read(text: &str) -> Option<Wish> {
        let words = separate(text, ' ', 10);
        if !(2..=7).contains(&words.len()) {
            return None;
        }
        let word = |n: usize| words.get(n).filter(|word| !word.eq_ignore_ascii_case("undef")).cloned();
        let target = word(1)?;
        let course = match target.strip_prefix('&').filter(|rest| !rest.is_empty()) {
            Some(application) => {
                let whole = application.rsplit_once(')').map_or(application, |(before, _)| before);
                let (name, arguments) = whole.split_once('(').unwrap_or((whole, ""));
                Way::Application { name: name.to_owned(), arguments: arguments.to_owned() }
            }
            None => Way::Extension {
                number: target,
                dialplan: word(2).unwrap_or_else(|| "XML".to_owned()),
                context: word(3).unwrap_or_else(|| "default".to_owned()),
            },
        };
        Some(Wish { dial_string: word(0)?, course, name: word(4), number: word(5), timeout: word(6) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn application(name: &str, arguments: &str) -> Way {
        Way::Application { name: name.to_owned(), arguments: arguments.to_owned() }
    }

    fn extension(number: &str, dialplan: &str, context: &str) -> Way {
        Way::Extension {
            number: number.to_owned(),
            dialplan: dialplan.to_owned(),
            context: context.to_owned(),
        }
    }

    #[test]
    fn every_form_is_read() {
        for (text, dial_string, course) in [
            ("user/1000 &park()", "user/1000", application("park", "")),
            ("user/1000 &park", "user/1000", application("park", "")),
            ("user/1000 '&bridge(user/1001, user/1002)'", "user/1000", {
                application("bridge", "user/1001, user/1002")
            }),
            ("user/1000 &bridge({a=${toupper(x)}}user/1001)", "user/1000", {
                application("bridge", "{a=${toupper(x)}}user/1001")
            }),
            ("user/1000 5000", "user/1000", extension("5000", "XML", "default")),
            ("user/1000 5000 XML public", "user/1000", extension("5000", "XML", "public")),
            ("user/1000 5000 undef public", "user/1000", extension("5000", "XML", "public")),
            ("user/1000 'set:a=b,park' inline", "user/1000", extension("set:a=b,park", "inline", "default")),
            ("{a='b c'}user/1000 &", "{a=b c}user/1000", extension("&", "XML", "default")),
        ] {
            let wish = Wish::read(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((wish.dial_string.as_str(), &wish.course), (dial_string, &course), "{text}");
        }
        let wish = Wish::read("user/1 2 XML default 'Al Pha' 5551 20").unwrap();
        assert_eq!(
            (wish.name.as_deref(), wish.number.as_deref(), wish.timeout.as_deref()),
            (Some("Al Pha"), Some("5551"), Some("20"))
        );
        for text in ["", "user/1000", "undef &park()", "user/1 undef", "1 2 3 4 5 6 7 8"] {
            assert_eq!(Wish::read(text), None, "{text}");
        }
    }
}
