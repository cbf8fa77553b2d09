//! What stands beside `<settings>` in a profile: gateways and domains; and the entries of repeatable parameters.

use crate::config::element::Element;
use crate::config::position::Position;
use crate::config::problem::Problem;

/// One entry of `apply-inbound-acl`: `list[:passcontext[:failcontext]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundAcl {
    /// A list of `acl.conf`, a predefined one, or a CIDR.
    pub list: String,
    /// Context for callers who match.
    pub pass_context: Option<String>,
    /// Context for callers who do not.
    pub fail_context: Option<String>,
    /// Where it is written.
    pub at: Position,
}

/// An ACL named by a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclRef {
    /// A list of `acl.conf`, a predefined one, or a CIDR.
    pub list: String,
    /// Where it is written.
    pub at: Position,
}

/// `<domain name= alias= parse=/>` of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileDomain {
    /// The domain, or `all` for every domain of the directory.
    pub name: String,
    /// The domain's name is another name of this profile.
    pub alias: bool,
    /// Gateways under users of that domain belong to this profile.
    pub parse: bool,
    /// Where it is written.
    pub at: Position,
}

/// A name and a value as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// The name, case kept: gateway parameters are case-sensitive.
    pub name: String,
    /// The value.
    pub value: String,
    /// Where the value begins.
    pub at: Position,
}

/// A `<gateway>` as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Its name.
    pub name: String,
    /// Its parameters, in order.
    pub params: Vec<Param>,
    /// Its `<variables>`, with their direction (empty for both).
    pub variables: Vec<(Param, String)>,
    /// Where it is written.
    pub at: Position,
}

/// Gateway parameters FreeSWITCH knows.
const GATEWAY_PARAMS: &[&str] = &[
    "908-retry-seconds",
    "auth-username",
    "caller-id-in-from",
    "cid-type",
    "contact-host",
    "contact-in-ping",
    "contact-params",
    "context",
    "destination-prefix",
    "distinct-to",
    "expire-seconds",
    "extension",
    "extension-in-contact",
    "from-domain",
    "from-user",
    "gw-auth-acl",
    "outbound-proxy",
    "password",
    "ping",
    "ping-max",
    "ping-min",
    "ping-monitoring",
    "ping-user-agent",
    "proxy",
    "realm",
    "reg-id",
    "register",
    "register-proxy",
    "register-transport",
    "retry-seconds",
    "retry_seconds",
    "rfc-5626",
    "scheme",
    "timeout-seconds",
    "username",
];

impl Gateway {
    /// Reads `<gateway>`; `None` when it has no usable name.
    pub(super) fn read(element: &Element, problems: &mut Vec<Problem>) -> Option<Gateway> {
        let name = element.attr("name").unwrap_or("").trim();
        if name.is_empty() {
            problems.push(
                Problem::error(&element.at, "<gateway> has no name")
                    .hint("write <gateway name=\"provider\">"),
            );
            return None;
        }
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')) {
            problems.push(
                Problem::error(element.attr_at("name"), format!("`{name}` is no name for a gateway"))
                    .hint("letters, digits, dot, dash and underscore are allowed"),
            );
            return None;
        }
        for (param, _, at) in element.params() {
            if !GATEWAY_PARAMS.contains(&param) {
                let problem =
                    Problem::warning(at.attr_at("name"), format!("a gateway has no parameter {param}"));
                problems.push(match crate::config::suggest::nearest(param, GATEWAY_PARAMS.iter().copied()) {
                    Some(near) => problem.hint(format!("did you mean {near}? (case counts here)")),
                    None => problem,
                });
            }
        }
        let param = |(name, value, at): (&str, &str, &Element)| Param {
            name: name.to_owned(),
            value: value.to_owned(),
            at: at.attr_at("value").clone(),
        };
        Some(Gateway {
            name: name.to_owned(),
            params: element.params().map(param).collect(),
            variables: element
                .child("variables")
                .into_iter()
                .flat_map(Element::variables)
                .map(|v| (param(v), v.2.attr("direction").unwrap_or("").to_owned()))
                .collect(),
            at: element.at.clone(),
        })
    }

    /// The value of a parameter; the last one counts, as in FreeSWITCH.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().rev().find(|p| p.name == name).map(|p| p.value.as_str())
    }
}
