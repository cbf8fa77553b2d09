//! `expr 2*(3+4)`: arithmetic, as FreeSWITCH's mod_expr has it.
//!
//! Statements are separated by `;` or `|`, the last one is the answer. Unknown names are variables with the value 0.
//! `^` binds to the left and less than a sign: `-2^2` is 4. Ten decimals, zeros at the end removed.

use std::collections::HashMap;

use super::world::World;

/// Characters an expression may have.
const LENGTH: usize = 1024;
/// How deep it may nest.
const DEPTH: u32 = 64;
/// How much it may compute.
const STEPS: u32 = 100_000;

const CONSTANTS: [(&str, f64); 13] = [
    ("M_E", std::f64::consts::E),
    ("M_LOG2E", std::f64::consts::LOG2_E),
    ("M_LOG10E", std::f64::consts::LOG10_E),
    ("M_LN2", std::f64::consts::LN_2),
    ("M_LN10", std::f64::consts::LN_10),
    ("M_PI", std::f64::consts::PI),
    ("M_PI_2", std::f64::consts::FRAC_PI_2),
    ("M_PI_4", std::f64::consts::FRAC_PI_4),
    ("M_1_PI", std::f64::consts::FRAC_1_PI),
    ("M_2_PI", std::f64::consts::FRAC_2_PI),
    ("M_2_SQRTPI", std::f64::consts::FRAC_2_SQRT_PI),
    ("M_SQRT2", std::f64::consts::SQRT_2),
    ("M_1_SQRT2", std::f64::consts::FRAC_1_SQRT_2),
];

/// The answer, or `!err!`.
pub fn expr(_: &dyn World, text: &str) -> String {
    evaluate(text).unwrap_or_else(|| "!err!".to_owned())
}

fn evaluate(text: &str) -> Option<String> {
    if text.len() > LENGTH {
        return None;
    }
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0 };
    let program = parser.program()?;
    let mut machine = Machine { variables: HashMap::new(), steps: STEPS };
    let mut value = 0.0;
    for statement in &program {
        value = machine.value(statement)?;
    }
    let written = format!("{value:.10}");
    if !value.is_finite() {
        return Some(written);
    }
    let short = written.trim_end_matches('0');
    Some(short.strip_suffix('.').unwrap_or(short).to_owned())
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(f64),
    Name(String),
    Sign(char),
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut list = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '#' => rest.find(['\r', '\n']).unwrap_or(rest.len()),
            '|' => {
                list.push(Token::Sign(';'));
                1
            }
            '(' | ')' | '+' | '-' | '*' | '/' | '^' | '&' | ';' | ',' | '=' => {
                list.push(Token::Sign(c));
                1
            }
            '.' | '0'..='9' => {
                let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
                let whole = digits(rest);
                let fraction = rest.get(whole..)?.strip_prefix('.').map_or(0, |f| 1 + digits(f));
                let number = rest.get(..whole + fraction)?;
                list.push(Token::Number(if number == "." { 0.0 } else { number.parse().ok()? }));
                whole + fraction
            }
            c if c == '_' || c.is_ascii_alphabetic() => {
                let length = rest.bytes().take_while(|b| *b == b'_' || b.is_ascii_alphanumeric()).count();
                list.push(Token::Name(rest.get(..length)?.to_owned()));
                length
            }
            c if c.is_ascii_whitespace() => 1,
            _ => return None,
        };
        rest = rest.get(length..)?;
    }
    Some(list)
}

enum Node {
    Number(f64),
    Variable(String),
    Assign(String, Box<Node>),
    Negate(Box<Node>),
    Operate(char, Box<Node>, Box<Node>),
    Call(String, Vec<Node>),
}

struct Parser<'t> {
    tokens: &'t [Token],
    at: usize,
    depth: u32,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn take(&mut self, sign: char) -> bool {
        let found = self.peek() == Some(&Token::Sign(sign));
        self.at += usize::from(found);
        found
    }

    fn program(&mut self) -> Option<Vec<Node>> {
        let mut statements = Vec::new();
        loop {
            statements.push(self.statement()?);
            let more = self.take(';');
            if self.peek().is_none() {
                return Some(statements);
            }
            if !more {
                return None;
            }
        }
    }

    fn statement(&mut self) -> Option<Node> {
        if let (Some(Token::Name(name)), Some(Token::Sign('='))) = (self.peek(), self.tokens.get(self.at + 1))
        {
            if CONSTANTS.iter().any(|(constant, _)| constant == name) {
                return None;
            }
            let name = name.clone();
            self.at += 2;
            return Some(Node::Assign(name, Box::new(self.nested(Self::statement)?)));
        }
        self.operation(&['+', '-'], |p| p.operation(&['*', '/'], |p| p.operation(&['^'], Self::signed)))
    }

    fn nested<T>(&mut self, inner: impl Fn(&mut Self) -> Option<T>) -> Option<T> {
        if self.depth >= DEPTH {
            return None;
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn operation(&mut self, signs: &[char], inner: impl Fn(&mut Self) -> Option<Node>) -> Option<Node> {
        let mut left = inner(self)?;
        while let Some(&sign) = signs.iter().find(|sign| self.peek() == Some(&Token::Sign(**sign))) {
            self.at += 1;
            left = Node::Operate(sign, Box::new(left), Box::new(inner(self)?));
        }
        Some(left)
    }

    fn signed(&mut self) -> Option<Node> {
        if self.take('+') {
            return self.nested(Self::signed);
        }
        if self.take('-') {
            return Some(Node::Negate(Box::new(self.nested(Self::signed)?)));
        }
        if self.take('(') {
            let inner = self.nested(Self::statement)?;
            return self.take(')').then_some(inner);
        }
        let token = self.peek()?.clone();
        self.at += 1;
        match token {
            Token::Number(number) => Some(Node::Number(number)),
            Token::Name(name) if self.take('(') => self.nested(|p| p.arguments(name.clone())),
            Token::Name(name) => Some(Node::Variable(name)),
            Token::Sign(_) => None,
        }
    }

    fn arguments(&mut self, name: String) -> Option<Node> {
        let mut list = Vec::new();
        if !self.take(')') {
            loop {
                list.push(self.statement()?);
                if self.take(')') {
                    break;
                }
                if !self.take(',') {
                    return None;
                }
            }
        }
        let (least, most) = arity(&name)?;
        (least..=most).contains(&list.len()).then_some(Node::Call(name, list))
    }
}

/// How many arguments a function takes; `None` for one there is not.
fn arity(name: &str) -> Option<(usize, usize)> {
    Some(match name {
        "abs" | "ipart" | "fpart" | "sqrt" | "sin" | "sinh" | "asin" | "cos" | "cosh" | "acos" | "tan"
        | "tanh" | "atan" | "log" | "pow10" | "ln" | "exp" | "ceil" | "floor" | "deg" | "rad" | "not" => {
            (1, 1)
        }
        "mod" | "pow" | "atan2" | "logn" | "recttopolr" | "recttopola" | "poltorectx" | "poltorecty"
        | "equal" | "above" | "below" | "and" | "or" | "land" | "lor" => (2, 2),
        "if" | "clip" | "clamp" => (3, 3),
        "select" => (3, 4),
        "pntchange" => (5, 5),
        "min" | "max" | "avg" | "many" => (1, usize::MAX),
        "poly" => (2, usize::MAX),
        "for" => (4, usize::MAX),
        _ => return None,
    })
}

struct Machine {
    variables: HashMap<String, f64>,
    steps: u32,
}

impl Machine {
    fn value(&mut self, node: &Node) -> Option<f64> {
        self.steps = self.steps.checked_sub(1)?;
        match node {
            Node::Number(number) => Some(*number),
            Node::Variable(name) => {
                let constant =
                    CONSTANTS.iter().find(|(constant, _)| constant == name).map(|(_, value)| *value);
                Some(constant.or_else(|| self.variables.get(name).copied()).unwrap_or(0.0))
            }
            Node::Assign(name, inner) => {
                let value = self.value(inner)?;
                self.variables.insert(name.clone(), value);
                Some(value)
            }
            Node::Negate(inner) => Some(-self.value(inner)?),
            Node::Operate(sign, left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                match sign {
                    '+' => Some(left + right),
                    '-' => Some(left - right),
                    '*' => Some(left * right),
                    '/' => (right != 0.0).then(|| left / right),
                    _ => finite(left.powf(right)),
                }
            }
            Node::Call(name, nodes) => self.call(name, nodes),
        }
    }

    fn call(&mut self, name: &str, nodes: &[Node]) -> Option<f64> {
        match (name, nodes) {
            ("if", [test, yes, no]) => {
                let chosen = if self.value(test)? != 0.0 { yes } else { no };
                return self.value(chosen);
            }
            ("select", [test, negative, zero, rest @ ..]) => {
                let test = self.value(test)?;
                let positive = rest.first().unwrap_or(zero);
                let chosen = if test < 0.0 {
                    negative
                } else if test == 0.0 {
                    zero
                } else {
                    positive
                };
                return self.value(chosen);
            }
            ("for", [start, test, next, body @ ..]) => {
                self.value(start)?;
                let mut last = 0.0;
                while self.value(test)? != 0.0 {
                    for node in body {
                        last = self.value(node)?;
                    }
                    self.value(next)?;
                }
                return Some(last);
            }
            _ => {}
        }
        let mut values = Vec::with_capacity(nodes.len());
        for node in nodes {
            values.push(self.value(node)?);
        }
        many(name, &values)
    }
}

fn many(name: &str, values: &[f64]) -> Option<f64> {
    match (name, values) {
        ("min", [first, rest @ ..]) => Some(rest.iter().fold(*first, |a, b| if *b < a { *b } else { a })),
        ("max", [first, rest @ ..]) => Some(rest.iter().fold(*first, |a, b| if *b > a { *b } else { a })),
        ("avg", values) => Some(values.iter().sum::<f64>() / values.len() as f64),
        ("many", values) => values.last().copied(),
        ("poly", [x, factors @ ..]) => finite(factors.iter().fold(0.0, |sum, factor| sum * x + factor)),
        // FreeSWITCH's clip takes the lower bound for both.
        ("clip", [_, least, _]) => Some(*least),
        ("clamp", [value, least, most]) => {
            let rest = finite((value - least) % (most - least))?;
            Some(if rest < 0.0 { rest + most } else { rest + least })
        }
        ("pntchange", [old, old_end, new, new_end, point]) => {
            let span = old_end - old;
            Some(if span == 0.0 { *old } else { new + (point - old) / span * (new_end - new) })
        }
        (name, [a, b]) => two(name, *a, *b),
        (name, [a]) => one(name, *a),
        _ => None,
    }
}

fn two(name: &str, a: f64, b: f64) -> Option<f64> {
    let truth = |truth: bool| Some(f64::from(u8::from(truth)));
    match name {
        "mod" => finite(a % b),
        "pow" => finite(a.powf(b)),
        "atan2" => Some(a.atan2(b)),
        "logn" => finite(a.ln() / b.ln()),
        "recttopolr" => finite(a.hypot(b)),
        "recttopola" => {
            let angle = b.atan2(a);
            Some(if angle < 0.0 { angle + 2.0 * std::f64::consts::PI } else { angle })
        }
        "poltorectx" => Some(a * b.cos()),
        "poltorecty" => Some(a * b.sin()),
        "equal" => truth(a == b),
        "above" => truth(a > b),
        "below" => truth(a < b),
        "and" => truth(a != 0.0 && b != 0.0),
        "or" => truth(a != 0.0 || b != 0.0),
        "land" => Some(f64::from(a as u32 & b as u32)),
        "lor" => Some(f64::from(a as u32 | b as u32)),
        _ => None,
    }
}

fn one(name: &str, a: f64) -> Option<f64> {
    match name {
        "abs" => Some(a.abs()),
        "ipart" => Some(a.trunc()),
        "fpart" => Some(a.fract()),
        "sqrt" => finite(a.sqrt()),
        "sin" => finite(a.sin()),
        "sinh" => finite(a.sinh()),
        "asin" => finite(a.asin()),
        "cos" => finite(a.cos()),
        "cosh" => finite(a.cosh()),
        "acos" => finite(a.acos()),
        "tan" => finite(a.tan()),
        "tanh" => finite(a.tanh()),
        "atan" => finite(a.atan()),
        "log" => finite(a.log10()),
        "pow10" => finite(10f64.powf(a)),
        "ln" => finite(a.ln()),
        "exp" => finite(a.exp()),
        "ceil" => Some(a.ceil()),
        "floor" => Some(a.floor()),
        "deg" => Some(a.to_degrees()),
        "rad" => Some(a.to_radians()),
        "not" => Some(f64::from(u8::from(a == 0.0))),
        _ => None,
    }
}

/// C reports what has no value through `errno`, and the whole expression is an error.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
