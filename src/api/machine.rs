//! Commands on the switch as a whole: `reloadxml`, `reloadacl`, `log` (mod_commands.c).

use super::command::{Command, now, waits};
use super::desk::{Desk, OK};

pub(super) const COMMANDS: &[Command] = &[
    now("log", "<level> <message>", "write a line into the log", log),
    waits("reloadacl", "", "read the configuration again, access lists included", |desk, _| {
        Box::pin(reload(desk, "+OK acl reloaded\n"))
    }),
    waits("reloadxml", "", "read the configuration again", |desk, _| {
        Box::pin(reload(desk, "+OK [Success]\n"))
    }),
];

/// What is wrong with a tree is said in one line of the answer, and leaves everything as it was.
async fn reload(desk: &Desk, done: &str) -> String {
    match desk.house.reload().await {
        Ok(changes) => {
            tracing::info!("reloaded: {changes}");
            done.to_owned()
        }
        Err(errors) => {
            errors.iter().for_each(|line| tracing::error!("{line}"));
            tracing::error!("not reloaded: the configuration has errors; the old one stays");
            format!("-ERR [{}]\n", errors.join("; "))
        }
    }
}

/// `log LEVEL TEXT`; a level nobody knows is DEBUG.
fn log(_: &Desk, text: &str) -> String {
    let (level, line) = text.split_once(' ').unwrap_or(("", text));
    match level.to_ascii_lowercase().as_str() {
        "console" | "alert" | "crit" | "err" | "error" | "0" | "1" | "2" | "3" => tracing::error!("{line}"),
        "warning" | "warn" | "4" => tracing::warn!("{line}"),
        "notice" | "info" | "5" | "6" => tracing::info!("{line}"),
        _ => tracing::debug!("{line}"),
    }
    OK.to_owned()
}
