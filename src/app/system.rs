//! `system` and `bgsystem`: a command of the machine. Refused unless `switch.conf` has `allow-system`.
//!
//! The command goes to `/bin/sh -c`, as in FreeSWITCH. Text from the wire in it may be no more than a plain word: with
//! anything that means something to a shell the command is refused. Its output is dropped; one that takes too long is
//! killed.

use super::call::Call;
use super::places::Places;
use crate::channel::Leg;
use crate::dialplan::Expanded;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::process::Command;
use tracing::{info, warn};

/// How long a call waits for its command.
const WAITING: Duration = Duration::from_secs(10);
/// How long a command beside a call may take.
const BESIDE: Duration = Duration::from_secs(60);
/// Commands that may run at a time.
static PLACES: Places = Places::new(32);

/// A command; the call waits for its end.
pub async fn run(call: &mut Call, data: &Expanded) {
    let Some(work) = admitted(&call.leg, "system", data, WAITING) else { return };
    if call.leg.until(work).await.is_none() {
        info!("{} {}: the call ended before its command did", call.leg.uuid, call.leg.name());
    }
}

/// A command; the call goes on.
pub fn beside(leg: &mut Leg, data: &Expanded) {
    if let Some(work) = admitted(leg, "bgsystem", data, BESIDE) {
        tokio::spawn(work);
    }
}

/// The running of a command that may be run.
fn admitted(
    leg: &Leg,
    name: &str,
    data: &Expanded,
    limit: Duration,
) -> Option<impl Future<Output = ()> + Send + use<>> {
    let said = format!("{} {}: {name}({})", leg.uuid, leg.name(), data.text);
    if !leg.exchange.allow_system.load(Ordering::Relaxed) {
        warn!("{said} is refused: switch.conf has no <param name=\"allow-system\" value=\"true\"/>");
        return None;
    }
    if data.has_syntax_from_wire() {
        warn!("{said} is refused: it holds text from the wire that means something to a shell");
        return None;
    }
    let Some(place) = PLACES.take() else {
        warn!("{said} is refused: {} commands are running", PLACES.all());
        return None;
    };
    info!("{said}: Executing command");
    let text = data.text.clone();
    Some(async move {
        let _place = place;
        match execute(&text, limit).await {
            Ok(Some(status)) if status.success() => {}
            Ok(Some(status)) => info!("{said}: {status}"),
            Ok(None) => warn!("{said}: not done after {} s, killed", limit.as_secs()),
            Err(error) => warn!("{said}: Failed to execute command: {error}"),
        }
    })
}

/// Runs a command; `None` when it was killed for taking too long.
async fn execute(text: &str, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(text).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.kill_on_drop(true).spawn()?;
    match tokio::time::timeout(limit, child.wait()).await {
        Ok(status) => status.map(Some),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[tokio::test]
    async fn a_command_runs_and_one_that_takes_too_long_is_killed() {
        let minute = Duration::from_secs(60);
        assert_eq!(execute("exit 3", minute).await.unwrap().and_then(|s| s.code()), Some(3));
        assert!(execute("true && test \"$(echo a b)\" = 'a b'", minute).await.unwrap().unwrap().success());
        let begun = Instant::now();
        assert!(execute("sleep 60", Duration::from_millis(100)).await.unwrap().is_none());
        assert!(begun.elapsed() < minute / 2);
    }
}
