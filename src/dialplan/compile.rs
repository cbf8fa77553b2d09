//! From the configuration's elements to the compiled dialplan, with everything that looks wrong on the way.

use std::borrow::Cow;
use std::collections::HashMap;

use super::clock::{TimeTest, is_number, is_true};
use super::expand::{expand, has_work, leading_number};
use super::pattern::Pattern;
use super::plan::{
    Break, Condition, Context, Dialplan, Do, Expression, Extension, Field, Rule, RuleKind, Test,
};
use super::scope::{Scope, Value};
use super::words;
use crate::channel::not_provided;
use crate::config::suggest::nearest;
use crate::config::{Element, Position, Problem};

/// How often `loop="N"` may repeat an action.
const LOOP: i64 = 1000;

/// The caller-profile fields a condition can name.
const FIELDS: &[&str] = &[
    "dialplan",
    "username",
    "caller_id_name",
    "caller_id_number",
    "orig_caller_id_name",
    "orig_caller_id_number",
    "callee_id_name",
    "callee_id_number",
    "ani",
    "aniii",
    "network_addr",
    "rdnis",
    "destination_number",
    "uuid",
    "source",
    "transfer_source",
    "context",
    "chan_name",
    "profile_index",
    "caller_ton",
    "caller_numplan",
    "destination_number_ton",
    "destination_number_numplan",
    "ani_ton",
    "ani_numplan",
    "rdnis_ton",
    "rdnis_numplan",
    "screen_bit",
    "privacy_hide_name",
    "privacy_hide_number",
    "profile_created_time",
    "created_time",
    "answered_time",
    "progress_time",
    "progress_media_time",
    "hungup_time",
    "transferred_time",
];

/// Which applications there are, for the checks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Applications<'a> {
    /// The names tandem has.
    pub provided: &'a [&'a str],
    /// Those it has not, and without which a call goes on.
    pub left_out: &'a [&'a str],
    /// Those it has but will not run, and why.
    pub refused: &'a [(&'a str, &'a str)],
}

impl Dialplan {
    /// Compiles `<section name="dialplan">`. What is wrong is reported and left out or never matches; the rest works.
    pub fn compile(section: &Element, applications: Applications<'_>) -> (Dialplan, Vec<Problem>) {
        let mut compiler = Compiler { applications, problems: Vec::new(), missing: Vec::new() };
        let mut plan = Dialplan::default();
        for element in section.children_named("context") {
            let Some(name) = element.attr("name") else {
                compiler
                    .problems
                    .push(Problem::error(&element.at, "<context> has no name").hint("add name=\"…\""));
                continue;
            };
            let key = name.to_ascii_lowercase();
            if let Some(first) = plan.by_name.get(&key).and_then(|i| plan.contexts.get(*i)) {
                let first = first.at.clone();
                compiler.problems.push(
                    Problem::warning(
                        &element.at,
                        format!("context {name} is defined twice; this one is ignored"),
                    )
                    .hint(format!("the first one is at {first}; put the extensions there")),
                );
                continue;
            }
            plan.by_name.insert(key, plan.contexts.len());
            let context = compiler.context(name, element);
            plan.contexts.push(context);
        }
        let problems = compiler.finish();
        (plan, problems)
    }
}

struct Compiler<'a> {
    applications: Applications<'a>,
    problems: Vec<Problem>,
    /// Applications of FreeSWITCH that tandem has not: first place and number of uses.
    missing: Vec<(String, Position, usize)>,
}

impl Compiler<'_> {
    fn finish(mut self) -> Vec<Problem> {
        for (name, at, uses) in self.missing {
            let uses = if uses == 1 {
                "used here".to_owned()
            } else {
                format!("used here and {} times more", uses - 1)
            };
            self.problems
                .push(Problem::warning(&at, format!("application {name} is not provided yet ({uses})")).hint(
                if self.applications.left_out.iter().any(|a| a.eq_ignore_ascii_case(&name)) {
                    "a call that reaches it goes on without it"
                } else if words::is_prompt(&name) {
                    "a call that reaches it goes on without it when more follows, else the caller gets 501"
                } else {
                    "a call that reaches it is ended, the caller gets 501"
                },
            ));
        }
        self.problems
    }

    fn context(&mut self, name: &str, element: &Element) -> Context {
        let mut extensions = Vec::new();
        let mut by_name = HashMap::new();
        for child in element.children_named("extension") {
            let extension = self.extension(child);
            by_name.entry(extension.name.to_ascii_lowercase()).or_insert(extensions.len());
            extensions.push(extension);
        }
        self.lint_unreachable(&extensions);
        Context { name: name.into(), extensions, by_name, at: element.at.clone() }
    }

    fn extension(&mut self, element: &Element) -> Extension {
        let name = element.attr("name").unwrap_or("UNKNOWN");
        let written = element.attr("continue");
        let conditions: Vec<_> = element.children_named("condition").map(|c| self.condition(c)).collect();
        for stray in element.children.iter().filter(|c| matches!(&*c.name, "action" | "anti-action")) {
            self.problems.push(
                Problem::warning(&stray.at, format!("<{}> outside a <condition> never runs", stray.name))
                    .hint("put it into a <condition> (one without attributes always passes)"),
            );
        }
        if conditions.is_empty() {
            self.problems.push(
                Problem::warning(
                    &element.at,
                    format!("extension {name} has no <condition>, so it never matches"),
                )
                .hint("a <condition> without attributes always passes"),
            );
        }
        Extension {
            name: name.into(),
            continue_text: written.unwrap_or("false").into(),
            continues: written.is_some_and(is_true),
            conditions,
            at: element.at.clone(),
        }
    }

    fn condition(&mut self, element: &Element) -> Condition {
        let rule = element.attr("regex").map(|kind| Rule {
            kind: self.rule_kind(kind, element),
            tests: element.children_named("regex").map(|test| self.test(test, false)).collect(),
        });
        if rule.as_ref().is_some_and(|r| r.tests.is_empty()) {
            self.problems.push(Problem::warning(&element.at, "<condition regex=…> has no <regex> child"));
        }
        if let (None, Some(stray)) = (&rule, element.child("regex")) {
            self.problems.push(
                Problem::warning(&stray.at, "<regex> is ignored: its <condition> has no regex attribute")
                    .hint("write <condition regex=\"all\"> or \"any\""),
            );
        }
        let (stop, stop_text) = self.stop(element);
        let test = self.test(element, rule.is_some());
        if test.field.is_some() && rule.is_some() {
            self.problems.push(Problem::warning(
                element.attr_at("field"),
                "field is ignored in a <condition> with a regex attribute",
            ));
        }
        let mut actions = Vec::new();
        let mut anti_actions = Vec::new();
        for child in &element.children {
            match &*child.name {
                "action" => actions.push(self.action(child)),
                "anti-action" => anti_actions.push(self.action(child)),
                _ => {}
            }
        }
        Condition {
            test,
            rule,
            stop,
            stop_text: stop_text.into(),
            actions,
            anti_actions,
            nested: element.children_named("condition").map(|c| self.condition(c)).collect(),
            require_nested: element.attr("require-nested").is_none_or(is_true),
        }
    }

    fn rule_kind(&mut self, kind: &str, element: &Element) -> RuleKind {
        match kind {
            k if k.eq_ignore_ascii_case("all") => RuleKind::All,
            k if k.eq_ignore_ascii_case("xor") => RuleKind::Xor,
            k if k.eq_ignore_ascii_case("any") => RuleKind::Any,
            _ => {
                self.problems.push(
                    Problem::warning(element.attr_at("regex"), format!("regex=\"{kind}\" is taken for any"))
                        .hint("write all, any or xor"),
                );
                RuleKind::Any
            }
        }
    }

    fn stop<'e>(&mut self, element: &'e Element) -> (Break, &'e str) {
        let Some(written) = element.attr("break") else { return (Break::OnFalse, "on-false") };
        let known = [
            ("on-true", Break::OnTrue),
            ("on-false", Break::OnFalse),
            ("always", Break::Always),
            ("never", Break::Never),
        ];
        if let Some((_, stop)) = known.iter().find(|(word, _)| word.eq_ignore_ascii_case(written)) {
            return (*stop, written);
        }
        self.problems.push(
            Problem::warning(element.attr_at("break"), format!("break=\"{written}\" is taken for on-false"))
                .hint("write on-false, on-true, always or never"),
        );
        (Break::OnFalse, "on-false")
    }

    /// The field, expression and time attributes of a condition or a regex. `quiet`: they are not used.
    fn test(&mut self, element: &Element, quiet: bool) -> Test {
        let time = TimeTest::read(element, &mut self.problems);
        let field = element.attr("field").map(|text| match text.contains('$') {
            true => Field::Text(text.into()),
            false => Field::Profile(text.into()),
        });
        if let (Some(Field::Profile(name)), false) = (&field, quiet) {
            self.check_field(name, element);
        }
        let child = element.child("expression");
        let (written, at) = match child {
            Some(child) => (&*child.text, &child.at),
            None => (element.attr("expression").unwrap_or(""), element.attr_at("expression")),
        };
        if !quiet {
            if field.is_some() && child.is_none() && element.attribute("expression").is_none() {
                self.problems.push(
                    Problem::error(&element.at, format!("<{}> has no expression", element.name))
                        .hint("add expression=\"…\"; without one it always passes"),
                );
            } else if field.is_none() && !written.is_empty() {
                self.problems.push(
                    Problem::warning(at, format!("<{}> has an expression but no field", element.name))
                        .hint("add field=\"destination_number\" or another; the expression is ignored"),
                );
            }
        }
        let expression = self.expression(written, at, field.is_some() && !quiet);
        Test { field, expression, time }
    }

    fn check_field(&mut self, name: &str, element: &Element) {
        if FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name)) {
            return;
        }
        let hint = match nearest(name, FIELDS.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None if matches!(name, "true" | "false" | "") || is_number(name) => {
                "a $${name} is replaced when the file is read; write field=\"${name}\"".to_owned()
            }
            None => format!("for a channel variable write field=\"${{{name}}}\""),
        };
        self.problems.push(
            Problem::warning(
                element.attr_at("field"),
                format!("{name} is no field of the caller profile, so it is always empty"),
            )
            .hint(hint),
        );
    }

    fn expression(&mut self, written: &str, at: &Position, used: bool) -> Expression {
        if written.contains("${") {
            return Expression::Made(written.into());
        }
        // FreeSWITCH expands every expression, which turns \\ into \ even where there is nothing to expand.
        let text = if has_work(written) { expand(written, &Nothing) } else { written.to_owned() };
        let pattern = Pattern::compile(&text);
        if let (Err(bad), true) = (&pattern, used) {
            self.problems.push(
                Problem::error(at, format!("{text} is no regular expression: {bad}"))
                    .hint("it never matches"),
            );
        }
        Expression::Fixed { text: text.into(), pattern }
    }

    fn action(&mut self, element: &Element) -> Do {
        let application = element.attr("application").unwrap_or("");
        let inline = element.attr("inline").is_some_and(is_true);
        let provided = self.check_application(application, inline, element);
        let times = element.attr("loop").map_or(1, |text| {
            let times = leading_number(text);
            if !(1..=LOOP).contains(&times) {
                let what = if times < 1 {
                    "the action never runs".to_owned()
                } else {
                    format!("it is cut to {LOOP}")
                };
                self.problems
                    .push(Problem::warning(element.attr_at("loop"), format!("loop=\"{text}\": {what}")));
            }
            times.clamp(0, LOOP)
        });
        let data = if element.text.is_empty() { element.attr("data").unwrap_or("") } else { &element.text };
        self.check_variable(application, data, element);
        Do {
            application: application.into(),
            data: data.into(),
            inline,
            times: u32::try_from(times).unwrap_or(1),
            provided,
            at: element.at.clone(),
        }
    }

    /// Says so when a variable is set that FreeSWITCH heeds and tandem does not yet.
    fn check_variable(&mut self, application: &str, data: &str, element: &Element) {
        let sets =
            ["set", "export", "bridge_export"].iter().any(|name| name.eq_ignore_ascii_case(application));
        let Some((name, value)) = data.split_once('=').filter(|_| sets) else { return };
        let name = name.trim_start_matches("nolocal:").trim();
        if let Some(instead) = not_provided(name).filter(|_| value.contains('$') || is_true(value.trim())) {
            let at = element.attr_at("data");
            self.problems.push(Problem::warning(at, format!("{name} is not provided yet: {instead}")));
        }
    }

    /// Whether tandem has the application; says so when not.
    fn check_application(&mut self, name: &str, inline: bool, element: &Element) -> bool {
        if name.is_empty() {
            self.problems.push(
                Problem::error(&element.at, format!("<{}> has no application", element.name))
                    .hint("add application=\"…\""),
            );
            return false;
        }
        let at = element.attr_at("application");
        if inline && words::freeswitch_applications().any(|a| a == name) && !words::is_inline(name) {
            self.problems.push(
                Problem::warning(
                    element.attr_at("inline"),
                    format!("{name} cannot run inline, so this action is skipped"),
                )
                .hint("remove inline=\"true\"; inline is for set, export, log, eval and the like"),
            );
        }
        if let Some((_, why)) = self.applications.refused.iter().find(|(a, _)| a.eq_ignore_ascii_case(name)) {
            self.problems.push(
                Problem::warning(at, format!("application {name} is refused: {why}"))
                    .hint("a call that reaches it goes on without it"),
            );
        }
        if self.applications.provided.iter().any(|a| a.eq_ignore_ascii_case(name)) {
            return true;
        }
        if words::freeswitch_applications().any(|a| a.eq_ignore_ascii_case(name)) {
            match self.missing.iter_mut().find(|(missing, ..)| missing.eq_ignore_ascii_case(name)) {
                Some((_, _, uses)) => *uses += 1,
                None => self.missing.push((name.to_owned(), at.clone(), 1)),
            }
            return false;
        }
        let provided: &[&str] = self.applications.provided;
        let known = provided.iter().copied().chain(words::freeswitch_applications());
        let problem = Problem::warning(at, format!("there is no application {name}"));
        self.problems.push(match nearest(name, known) {
            Some(near) => problem.hint(format!("did you mean {near}?")),
            None => problem.hint("a call that reaches it is ended with DESTINATION_OUT_OF_ORDER"),
        });
        false
    }

    /// Extensions behind one that takes every call.
    fn lint_unreachable(&mut self, extensions: &[Extension]) {
        let mut rest = extensions.iter();
        let Some(taker) = rest.find(|e| takes_all(e)) else { return };
        let Some(first) = rest.next() else { return };
        let more = rest.count();
        let and = if more == 0 { String::new() } else { format!(" and the {more} behind it") };
        self.problems.push(
            Problem::note(
                &first.at,
                format!("no call gets to extension {}{and}: {} before it takes all", first.name, taker.name),
            )
            .hint(format!("that one is at {}; give it continue=\"true\" or put it last", taker.at)),
        );
    }
}

/// Whether an extension ends every hunt that reaches it.
fn takes_all(extension: &Extension) -> bool {
    !extension.continues
        && !extension.conditions.is_empty()
        && extension.conditions.iter().all(|condition| {
            condition.rule.is_none()
                && condition.nested.is_empty()
                && condition.test.time.is_none()
                && match (&condition.test.field, &condition.test.expression) {
                    (None, _) => true,
                    (Some(_), Expression::Fixed { text, .. }) => {
                        matches!(&**text, "" | "^" | "$" | ".*" | "^.*" | ".*$" | "^.*$" | "(.*)" | "^(.*)$")
                    }
                    (Some(_), Expression::Made(_)) => false,
                }
        })
}

/// The scope of an expression without references.
struct Nothing;

impl Scope for Nothing {
    fn variable(&self, _: &str) -> Option<Value<'_>> {
        None
    }

    fn profile_field(&self, _: &str) -> Option<Value<'_>> {
        None
    }

    fn global(&self, _: &str) -> Option<Cow<'_, str>> {
        None
    }

    fn call(&self, _: &str, _: &str, _: bool) -> Option<Value<'static>> {
        None
    }
}
