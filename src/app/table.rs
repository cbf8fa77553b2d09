//! The flat list of applications.

use super::call::Call;
use super::{
    acknowledge_call, answer, att_xfer, bind_digit_action, bind_meta_app, bridge, capture, check_acl,
    deflect, echo, eval, event, execute_extension, export, fifo, handed, hangup, heartbeat, info, intercept,
    limit, log, mkdir, park, pickup, pre_answer, privacy, redirect, respond, ring_ready, sched, send_display,
    send_info, set, set_global, set_name, set_profile_var, set_user, sleep, socket, stored, system, transfer,
    unset, valet_park, verbose_events,
};
use crate::channel::Leg;
use crate::dialplan::Expanded;
use std::pin::Pin;

/// An application that waits.
pub type Waiting<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// How an application runs. Its data is expanded already.
#[derive(Clone, Copy)]
pub enum Run {
    /// It changes the leg and is done.
    Plain(fn(&mut Leg, &Expanded)),
    /// It waits, or changes what the call does next.
    Waits(for<'a> fn(&'a mut Call, &'a Expanded) -> Waiting<'a>),
}

/// One application.
#[derive(Clone, Copy)]
pub struct Application {
    /// Its name in the dialplan.
    pub name: &'static str,
    /// What it does.
    pub run: Run,
    /// An unanswered caller gets early media first (FreeSWITCH: no `SAF_SUPPORT_NOMEDIA`).
    pub needs_media: bool,
}

const fn plain(name: &'static str, run: fn(&mut Leg, &Expanded)) -> Application {
    Application { name, run: Run::Plain(run), needs_media: false }
}

const fn waits(
    name: &'static str,
    run: for<'a> fn(&'a mut Call, &'a Expanded) -> Waiting<'a>,
) -> Application {
    Application { name, run: Run::Waits(run), needs_media: false }
}

/// Every application there is, by name.
const TABLE: &[Application] = &[
    plain("acknowledge_call", acknowledge_call::run),
    plain("answer", answer::run),
    Application { needs_media: true, ..waits("att_xfer", |call, data| Box::pin(att_xfer::run(call, data))) },
    plain("bgsystem", system::beside),
    plain("bind_digit_action", bind_digit_action::bind),
    plain("bind_meta_app", bind_meta_app::bind),
    plain("block_dtmf", bind_meta_app::block),
    waits("bridge", |call, data| Box::pin(bridge::run(call, data))),
    plain("bridge_export", export::bridge),
    plain("capture", capture::run),
    plain("check_acl", check_acl::run),
    plain("clear_digit_action", bind_digit_action::clear),
    #[cfg(feature = "curl")]
    waits("curl", |call, data| Box::pin(super::curl::run(call, data))),
    plain("db", stored::db),
    waits("deflect", |call, data| Box::pin(deflect::run(call, data))),
    plain("digit_action_set_realm", bind_digit_action::set_realm),
    Application { needs_media: true, ..waits("echo", |call, data| Box::pin(echo::run(call, data))) },
    plain("enable_heartbeat", heartbeat::enabled),
    plain("eval", eval::run),
    plain("event", event::run),
    waits("execute_extension", |call, data| Box::pin(execute_extension::run(call, data))),
    plain("export", export::run),
    Application { needs_media: true, ..waits("fifo", |call, data| Box::pin(fifo::run(call, data))) },
    plain("group", stored::group),
    plain("hangup", hangup::run),
    plain("hash", stored::hash),
    plain("info", info::run),
    waits("intercept", |call, data| Box::pin(intercept::run(call, data))),
    waits("limit", |call, data| Box::pin(limit::run(call, data))),
    waits("limit_execute", |call, data| Box::pin(limit::execute(call, data))),
    waits("limit_hash", |call, data| Box::pin(limit::hash(call, data))),
    waits("limit_hash_execute", |call, data| Box::pin(limit::hash_execute(call, data))),
    plain("log", log::run),
    plain("mkdir", mkdir::run),
    plain("multiset", set::multiset),
    plain("multiunset", set::multiunset),
    waits("park", |call, data| Box::pin(park::run(call, data))),
    waits("pickup", |call, data| Box::pin(pickup::run(call, data))),
    // What pickup/KEY calls.
    waits("pickup_wait", |call, data| Box::pin(pickup::wait(call, data))),
    plain("pre_answer", pre_answer::run),
    plain("privacy", privacy::run),
    plain("push", set::push),
    plain("redirect", redirect::run),
    plain("respond", respond::run),
    plain("ring_ready", ring_ready::run),
    plain("sched_broadcast", sched::broadcast),
    plain("sched_cancel", sched::cancel),
    plain("sched_hangup", sched::hangup),
    plain("sched_heartbeat", heartbeat::scheduled),
    plain("sched_transfer", sched::transfer),
    plain("send_display", send_display::run),
    plain("send_info", send_info::run),
    plain("set", set::run),
    plain("set_global", set_global::run),
    plain("set_name", set_name::run),
    plain("set_profile_var", set_profile_var::run),
    plain("set_user", set_user::run),
    waits("sleep", |call, data| Box::pin(sleep::run(call, data))),
    waits("system", |call, data| Box::pin(system::run(call, data))),
    waits("transfer", |call, data| Box::pin(transfer::run(call, data))),
    plain("transfer_vars", handed::give),
    plain("unbind_meta_app", bind_meta_app::unbind),
    plain("unblock_dtmf", bind_meta_app::unblock),
    plain("unset", unset::run),
    plain("unshift", set::unshift),
    Application {
        needs_media: true,
        ..waits("valet_park", |call, data| Box::pin(valet_park::run(call, data)))
    },
    plain("verbose_events", verbose_events::run),
    waits("socket", |call, data| Box::pin(socket::run(call, data))),
    plain("stop", eval::run),
    waits("wait_for_answer", |call, data| Box::pin(acknowledge_call::wait(call, data))),
];

/// The application called `name`, whatever its case.
pub fn find(name: &str) -> Option<Application> {
    TABLE.iter().find(|a| a.name.eq_ignore_ascii_case(name)).copied()
}

/// The names of all of them, for the dialplan's compiler.
pub fn names() -> Vec<&'static str> {
    TABLE.iter().map(|a| a.name).collect()
}

/// The applications that are there and do nothing but say why they do not run.
pub fn refused(allow_system: bool) -> Vec<(&'static str, &'static str)> {
    const SYSTEM: &str = "switch.conf has no <param name=\"allow-system\" value=\"true\"/>";
    let mut list = vec![("mkdir", "a dialplan makes no folders")];
    if !allow_system {
        list.extend([("bgsystem", SYSTEM), ("system", SYSTEM)]);
    }
    list
}
