//! Who the generator says it is: one user, a row of numbered users, or a file of them.

use std::path::Path;

/// The users, by index.
pub struct Identities {
    domain: String,
    kind: Kind,
}

enum Kind {
    Numbered { first: u64, count: u64, password: String },
    Listed(Vec<(String, String)>),
}

impl Identities {
    /// `count` users from `first` on. In `password` the sign `{}` stands for the user, `{i}` for its place in the row.
    pub fn numbered(domain: &str, first: u64, count: u64, password: &str) -> Self {
        Self {
            domain: domain.to_owned(),
            kind: Kind::Numbered { first, count: count.max(1), password: password.to_owned() },
        }
    }

    /// One user by name.
    pub fn one(domain: &str, user: &str, password: &str) -> Self {
        Self {
            domain: domain.to_owned(),
            kind: Kind::Listed(vec![(user.to_owned(), password.replace("{}", user).replace("{i}", "0"))]),
        }
    }

    /// The lines `user;password` or `user,password` of a file; those beginning with `#` or SIPp's `SEQUENTIAL` are left out.
    pub fn file(domain: &str, path: &Path) -> Result<Self, String> {
        let text =
            std::fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        let users: Vec<(String, String)> = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.starts_with("SEQUENTIAL"))
            .filter_map(|line| {
                let (user, rest) = line.split_once([';', ','])?;
                let password = rest.split([';', ',']).next()?.trim();
                // SIPp's own form: [authentication username=… password=…]
                let password = match password.split_once("password=") {
                    Some((_, password)) => password.trim_end_matches(']'),
                    None => password,
                };
                Some((user.trim().to_owned(), password.to_owned()))
            })
            .collect();
        if users.is_empty() {
            return Err(format!("{} holds no line `user;password`", path.display()));
        }
        Ok(Self { domain: domain.to_owned(), kind: Kind::Listed(users) })
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        match &self.kind {
            Kind::Numbered { count, .. } => *count,
            Kind::Listed(users) => users.len() as u64,
        }
    }

    /// The domain of all of them.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Name and password of user `index`, counted round.
    pub fn get(&self, index: u64) -> (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>) {
        match &self.kind {
            Kind::Numbered { first, count, password } => {
                let place = index % count;
                let user = (first + place).to_string();
                let password = if password.contains('{') {
                    password.replace("{}", &user).replace("{i}", &place.to_string()).into()
                } else {
                    password.as_str().into()
                };
                (user.into(), password)
            }
            Kind::Listed(users) => match users.get((index % users.len().max(1) as u64) as usize) {
                Some((user, password)) => (user.as_str().into(), password.as_str().into()),
                None => ("".into(), "".into()),
            },
        }
    }
}
