//! The hunt: which applications a call gets (inventory §3.2–3.3, mod_dialplan_xml's `parse_exten`).
//!
//! All conditions are looked at in the order of the file and the actions of those that pass are queued; nothing of
//! it runs yet, except actions marked inline. What is queued stays queued even when a later condition of the same
//! extension fails. The account of it that FreeSWITCH writes at debug level is written here in the same shape.

use std::borrow::Cow;

use super::clock::{Clock, is_true};
use super::expand::{expand, expand_guarded, has_work};
use super::pattern::{BadPattern, Captures, Pattern, substitute};
use super::plan::{Break, Condition, Dialplan, Do, Expression, Extension, Field, RuleKind, Test};
use super::quote::{Template, guarded_fields, is_quoted, plain, quoted};
use super::scope::Caller;
use super::words;
use crate::channel::array;
use crate::config::Position;

/// Actions one hunt may queue.
const QUEUE: usize = 10_000;
/// How deep conditions may nest.
const DEPTH: u32 = 100;

/// An application to run.
#[derive(Clone, Debug)]
pub struct Action {
    /// Its name as written.
    pub application: Box<str>,
    /// Its data; captures are filled in, `${…}` are not expanded yet.
    pub data: Template,
    /// Where the dialplan says so.
    pub at: Position,
}

/// What a hunt found.
#[derive(Clone, Debug)]
pub enum Hunt {
    /// An extension: its actions are to run, even when there are none.
    Route(Route),
    /// No extension wants the call. FreeSWITCH: `NO_ROUTE_DESTINATION`.
    NoRoute,
    /// There is neither such a context nor one named `global`. FreeSWITCH: `NO_ROUTE_DESTINATION`.
    NoContext,
}

/// The outcome of a successful hunt.
#[derive(Clone, Debug)]
pub struct Route {
    /// The name of the first extension that contributed an action.
    pub extension: String,
    /// The context they were found in: the one asked for, or `global`.
    pub context: String,
    /// What to run, in order.
    pub actions: Vec<Action>,
    /// An inline action named an application that does not exist: FreeSWITCH ends the call with
    /// `DESTINATION_OUT_OF_ORDER`.
    pub invalid_application: Option<String>,
}

impl Dialplan {
    /// Looks for the applications of a call to `destination` in `context`. The destination must also be what the
    /// caller answers for the profile field `destination_number`.
    pub fn hunt<C: Caller + ?Sized>(&self, context: &str, destination: &str, caller: &mut C) -> Hunt {
        let context = if context.is_empty() { "default" } else { context };
        let Some(found) = self.context(context) else {
            tracing::warn!(target: "dialplan", "Context {context} not found");
            return Hunt::NoContext;
        };
        let start = match caller.variable("auto_hunt") {
            Some(value) if is_true(&value.text) => {
                found.by_name.get(&destination.to_ascii_lowercase()).copied()
            }
            _ => None,
        };
        let trace = caller.wants_trace();
        let channel = if trace { caller.channel_name().into_owned() } else { String::new() };
        let mut run =
            Run { plan: self, caller, trace, channel, actions: Vec::new(), extension: None, invalid: None };
        for extension in found.extensions.iter().skip(start.unwrap_or(0)) {
            if run.extension(context, extension) && !extension.continues {
                break;
            }
        }
        let Run { actions, extension, invalid, .. } = run;
        match extension {
            None => Hunt::NoRoute,
            Some(extension) => Hunt::Route(Route {
                extension,
                context: found.name.to_string(),
                actions,
                invalid_application: invalid,
            }),
        }
    }
}

struct Run<'d, 'c, C: ?Sized> {
    plan: &'d Dialplan,
    caller: &'c mut C,
    trace: bool,
    channel: String,
    actions: Vec<Action>,
    extension: Option<String>,
    invalid: Option<String>,
}

/// Writes one line of the account when someone reads it.
macro_rules! account {
    ($run:ident, $($format:tt)*) => {
        if $run.trace {
            $run.caller.trace(format_args!($($format)*));
        }
    };
}

/// The groups of the match that an action may use: present only when its expression contains `(`.
type Groups = Option<Captures>;

/// What looking at one field told.
struct Seen {
    pass: bool,
    groups: Groups,
    /// The expression contains `(` (and there was a field): captures are replaced in the actions.
    replaces: bool,
}

impl<C: Caller + ?Sized> Run<'_, '_, C> {
    fn extension(&mut self, context: &str, extension: &Extension) -> bool {
        account!(
            self,
            "Dialplan: {} parsing [{context}->{}] continue={}",
            self.channel,
            extension.name,
            extension.continue_text
        );
        self.conditions(&extension.conditions, &extension.name, 0, true)
    }

    /// Goes through the conditions of an extension, or of a condition. `proceed` outlives a condition on purpose: it
    /// is the result of the last one that was looked at.
    fn conditions(&mut self, conditions: &[Condition], extension: &str, level: u32, require: bool) -> bool {
        if level > DEPTH {
            tracing::error!(target: "dialplan", "conditions nest deeper than {DEPTH} in extension {extension}");
            return false;
        }
        let (name, space) = match level {
            0 => (Cow::Borrowed(extension), String::new()),
            _ => (Cow::Owned(format!("{extension}_recur_{level}")), ladder(level)),
        };
        if level > 0 {
            account!(
                self,
                "{space}Dialplan: Processing recursive conditions level:{level} [{name}] require-nested={}",
                if require { "TRUE" } else { "FALSE" }
            );
        }
        let mut proceed = false;
        for condition in conditions {
            let passed = self.condition(condition, &name, &space, &mut proceed);
            let stops = match condition.stop {
                Break::Always => true,
                Break::OnTrue => passed,
                Break::OnFalse => !passed,
                Break::Never => false,
            };
            if stops {
                break;
            }
            if proceed && !condition.nested.is_empty() {
                proceed = self.conditions(&condition.nested, extension, level + 1, condition.require_nested);
                if !proceed && condition.stop != Break::Never {
                    break;
                }
            }
        }
        proceed || (level > 0 && !require)
    }

    /// One condition with its actions. True when it passed; `proceed` is what it means for the extension.
    fn condition(&mut self, condition: &Condition, name: &str, space: &str, proceed: &mut bool) -> bool {
        let mut passed = false;
        let time = self.time(&condition.test);
        if let Some(pass) = time {
            self.account_time(pass, name, space, Some(&condition.stop_text));
            passed = pass;
            *proceed = pass;
        }
        let mut seen = None;
        if let Some(rule) = &condition.rule {
            let (pass, last) = self.rule(rule.kind, &rule.tests, name, space, proceed);
            passed |= pass;
            seen = last;
        } else if let Some(field) = &condition.test.field {
            let now =
                self.look(field, &condition.test.expression, name, space, ("break", &condition.stop_text));
            passed |= now.pass;
            *proceed = now.pass;
            seen = Some(now);
        } else if time.is_none() {
            account!(self, "{space}Dialplan: {} Absolute Condition [{name}]", self.channel);
            passed = true;
            *proceed = true;
        }
        if !passed {
            for action in &condition.anti_actions {
                self.queue(action, None, "ANTI-Action", name, space);
                *proceed = true;
            }
            return false;
        }
        let groups = seen.filter(|s| s.replaces).map(|s| s.groups.unwrap_or_default());
        if let Some(groups) = &groups {
            self.remember("DP_MATCH", groups);
        }
        for action in &condition.actions {
            self.queue(action, groups.as_deref(), "Action", name, space);
        }
        true
    }

    /// A condition with `regex="all|any|xor"`: whether it passes, and the match whose captures its actions use.
    ///
    /// As in FreeSWITCH the extension proceeds by the outcome of the last expression that was looked at, which
    /// differs from the rule's own for `xor`.
    fn rule(
        &mut self,
        kind: RuleKind,
        tests: &[Test],
        name: &str,
        space: &str,
        proceed: &mut bool,
    ) -> (bool, Option<Seen>) {
        let word = if kind == RuleKind::All { "all" } else { "any" };
        let (mut passes, mut fails) = (0u32, 0u32);
        let mut saved: Option<(Seen, bool)> = None;
        let mut last = None;
        self.caller.unset_prefix("DP_REGEX_MATCH");
        for (index, test) in tests.iter().enumerate() {
            let time = self.time(test);
            if let Some(pass) = time {
                self.account_time(pass, name, space, None);
            }
            last = None;
            let pass = match (&test.field, time) {
                (Some(field), _) => {
                    let seen = self.look(field, &test.expression, name, space, ("match", word));
                    let pass = seen.pass;
                    *proceed = pass;
                    last = Some(seen);
                    pass
                }
                (None, None) => {
                    account!(
                        self,
                        "{space}Dialplan: {} Absolute Condition [{name}] match={word}",
                        self.channel
                    );
                    *proceed = true;
                    true
                }
                (None, Some(true)) => {
                    *proceed = true;
                    true
                }
                (None, Some(false)) => false,
            };
            if let Some(groups) =
                last.as_ref().filter(|s| s.replaces && s.pass).and_then(|s| s.groups.as_ref())
            {
                self.remember(&format!("DP_REGEX_MATCH_{}", index + 1), groups);
            }
            if pass {
                passes += 1
            } else {
                fails += 1
            }
            let done = match kind {
                RuleKind::Any => pass,
                RuleKind::All => !pass,
                RuleKind::Xor => false,
            };
            if done {
                break;
            }
            if last.as_ref().is_some_and(|s| s.replaces) {
                saved = last.take().map(|seen| (seen, pass));
            }
        }
        let pass = match kind {
            RuleKind::All => fails == 0,
            RuleKind::Any => passes > 0,
            RuleKind::Xor => passes == 1,
        };
        match saved {
            Some((seen, true)) => {
                *proceed = true;
                (pass, Some(seen))
            }
            Some((seen, false)) if last.is_none() => (pass, Some(seen)),
            _ => (pass, last),
        }
    }

    fn time(&self, test: &Test) -> Option<bool> {
        test.time.as_ref().map(|time| time.matches(&Clock::of(&*self.caller)))
    }

    fn account_time(&mut self, pass: bool, name: &str, space: &str, stop: Option<&str>) {
        let words = if pass { "Date/Time Match (PASS)" } else { "Date/TimeMatch (FAIL)" };
        match stop {
            Some(stop) => {
                account!(self, "{space}Dialplan: {} {words} [{name}] break={stop}", self.channel);
            }
            None => account!(self, "{space}Dialplan: {} {words} [{name}]", self.channel),
        }
    }

    /// Holds a field against an expression.
    fn look(
        &self,
        field: &Field,
        expression: &Expression,
        name: &str,
        space: &str,
        (how, value): (&str, &str),
    ) -> Seen {
        let made;
        let text;
        let (source, pattern): (&str, &Result<Pattern, BadPattern>) = match expression {
            Expression::Fixed { text, pattern } => (text, pattern),
            Expression::Made(template) => {
                text = expand(template, &*self.caller);
                made = self.plan.made.get(&text);
                (&text, &made)
            }
        };
        let (subject, wire): (Cow<'_, str>, bool) = match field {
            Field::Profile(field) => {
                self.caller.profile_field(field).map(|v| (v.text, v.wire)).unwrap_or_default()
            }
            Field::Text(text) if has_work(text) => {
                let text = expand_guarded(text, &*self.caller).text;
                (plain(&text).into_owned().into(), is_quoted(&text))
            }
            Field::Text(text) => (Cow::Borrowed(&**text), false),
        };
        let found = match pattern {
            Ok(pattern) => pattern.captures(&subject).unwrap_or_else(|limit| {
                tracing::warn!(
                    target: "dialplan",
                    "[{name}] {}({subject}) =~ /{source}/: {limit}; it counts as failed",
                    field.as_str()
                );
                None
            }),
            Err(bad) => {
                tracing::error!(target: "dialplan", "[{name}] /{source}/ is no regular expression: {bad}");
                None
            }
        };
        account!(
            self,
            "{space}Dialplan: {} Regex ({}) [{name}] {}({subject}) =~ /{source}/ {how}={value}",
            self.channel,
            if found.is_some() { "PASS" } else { "FAIL" },
            field.as_str()
        );
        let quote =
            |text: String| if wire { guarded_fields(&text).into_owned() } else { quoted(&text).into_owned() };
        let found = found.map(|groups| groups.into_iter().map(|g| g.map(quote)).collect::<Captures>());
        Seen { pass: found.is_some(), groups: found, replaces: source.contains('(') }
    }

    /// Sets an array variable of captured text. As in FreeSWITCH a group that took no part has no place in it, and an
    /// empty one drops what stood before it.
    fn remember(&mut self, name: &str, groups: &Captures) {
        let groups: Vec<_> = groups.iter().flatten().map(|group| plain(group)).collect();
        let behind_empty = groups.iter().rposition(|group| group.is_empty()).map_or(0, |at| at + 1);
        let kept = groups.get(behind_empty..).unwrap_or_default();
        self.caller.set(name, &array::of(kept.iter().map(|group| &**group)), true);
    }

    fn queue(&mut self, action: &Do, groups: Option<&[Option<String>]>, word: &str, name: &str, space: &str) {
        if self.extension.is_none() {
            self.extension = Some(name.to_owned());
        }
        let data = match groups {
            Some(groups) => Template::from_quoted(substitute(&action.data, groups, Cow::Borrowed)),
            None => Template::new(&*action.data),
        };
        for _ in 0..action.times {
            account!(
                self,
                "{space}Dialplan: {} {word} {}({data}) {}",
                self.channel,
                action.application,
                if action.inline { "INLINE" } else { "" }
            );
            if action.inline {
                self.execute_inline(action, &data);
            } else if self.actions.len() < QUEUE {
                self.actions.push(Action {
                    application: action.application.clone(),
                    data: data.clone(),
                    at: action.at.clone(),
                });
            } else {
                tracing::error!(target: "dialplan", "{}: more than {QUEUE} actions; this one is dropped", action.at);
                return;
            }
        }
    }

    fn execute_inline(&mut self, action: &Do, data: &Template) {
        let name = &action.application;
        if !action.provided {
            tracing::error!(target: "dialplan", "{}: Invalid Application {name}", action.at);
            self.invalid.get_or_insert_with(|| name.to_string());
        } else if !words::is_inline(name) {
            tracing::error!(
                target: "dialplan",
                "{}: {name}: This application cannot be executed inline; the action is skipped",
                action.at
            );
        } else {
            self.caller.execute_inline(name, data);
        }
    }
}

/// The ladder FreeSWITCH draws in front of nested conditions.
fn ladder(level: u32) -> String {
    let dashes = usize::try_from(level).unwrap_or(0).saturating_mul(4).saturating_sub(1);
    format!("|{} ", "-".repeat(dashes))
}
