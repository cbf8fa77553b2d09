//! Users, groups and domains, and the check of a request's credentials against them.
