//! What the switch keeps, as `show` tells it: registrations, tasks, aliases, completions.

use std::time::{SystemTime, UNIX_EPOCH};

use super::desk::Desk;
use super::rows::Rows;
use crate::channel::Leg;

/// Seconds since 1970, now.
fn epoch() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// `show registrations`.
pub(super) fn registrations(desk: &Desk) -> Rows {
    let (now, epoch) = (Leg::now(), epoch());
    let hostname = &desk.exchange.events.host.switchname;
    let mut found = desk.exchange.registrar.list(|binding| binding.gone_at() > now);
    found.sort_by_key(|binding| binding.since);
    let row = |binding: &std::sync::Arc<crate::registrar::Binding>| {
        vec![
            binding.user.to_string(),
            binding.domain.to_string(),
            binding.call_id.to_string(),
            binding.dial_string(),
            (epoch + u64::from(binding.remaining(now))).to_string(),
            binding.flow.remote.ip().to_string(),
            binding.flow.remote.port().to_string(),
            binding.flow.transport.as_param().to_owned(),
            hostname.clone(),
            String::new(),
        ]
    };
    Rows {
        columns: &[
            "reg_user",
            "realm",
            "token",
            "url",
            "expires",
            "network_ip",
            "network_port",
            "network_proto",
            "hostname",
            "metadata",
        ],
        rows: found.iter().map(row).collect(),
    }
}

/// `show tasks`.
pub(super) fn tasks(desk: &Desk) -> Rows {
    let (now, epoch) = (Leg::now(), epoch());
    let hostname = &desk.exchange.events.host.hostname;
    let row = |task: crate::store::Task| {
        vec![
            task.id.to_string(),
            task.errand.description().to_owned(),
            task.group.to_string(),
            (epoch + task.due.saturating_duration_since(now).as_secs()).to_string(),
            "0".to_owned(),
            hostname.clone(),
        ]
    };
    Rows {
        columns: &["task_id", "task_desc", "task_group", "task_runtime", "task_sql_manager", "hostname"],
        rows: desk.exchange.stores.schedule.tasks().into_iter().map(row).collect(),
    }
}

/// `show aliases`.
pub(super) fn aliases(desk: &Desk) -> Rows {
    let hostname = &desk.exchange.events.host.switchname;
    let row = |(alias, command): (String, String)| vec!["0".to_owned(), alias, command, hostname.clone()];
    Rows {
        columns: &["sticky", "alias", "command", "hostname"],
        rows: desk.exchange.stores.words.aliases().into_iter().map(row).collect(),
    }
}

/// `show complete`: the completions somebody has added.
pub(super) fn completions(desk: &Desk) -> Rows {
    let hostname = &desk.exchange.events.host.switchname;
    let row = |words: Vec<String>| {
        let mut row = vec!["0".to_owned()];
        row.extend(words);
        row.resize(11, String::new());
        row.push(hostname.clone());
        row
    };
    Rows {
        columns: &["sticky", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9", "a10", "hostname"],
        rows: desk.exchange.stores.words.completions().into_iter().map(row).collect(),
    }
}

/// `show nat_map`: tandem opens no ports at a router.
pub(super) fn nat_map() -> Rows {
    Rows { columns: &["port", "proto", "proto_num", "sticky"], rows: Vec::new() }
}
