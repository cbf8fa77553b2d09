//! What stands beside `<settings>` in a profile: domains; and the entries of repeatable parameters.

use crate::config::position::Position;

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
