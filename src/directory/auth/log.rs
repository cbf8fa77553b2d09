//! The line about a failed or missing login that fail2ban's filter for FreeSWITCH reads (`log-auth-failures`).

use std::fmt;
use std::net::IpAddr;

/// What that filter wants to see between the time and [`AuthLine`]: level and source. The log's writer puts it there.
pub const FAIL2BAN_PREFIX: &str = "[WARNING] sofia_reg.c:1 ";

/// `SIP auth failure (REGISTER) on sofia profile 'internal' for [1000@example.com] from ip 192.0.2.1`
#[derive(Clone, Copy, Debug)]
pub struct AuthLine<'a> {
    /// True for a refused login, false for a challenge.
    pub failure: bool,
    /// True for a REGISTER. The filter knows no third kind: every other method counts as INVITE, as in FreeSWITCH.
    pub register: bool,
    /// The profile's name.
    pub profile: &'a str,
    /// The user of the To header: the peer's text.
    pub user: &'a str,
    /// The host of the To header: the peer's text.
    pub host: &'a str,
    /// Where the packet came from.
    pub source: IpAddr,
}

impl fmt::Display for AuthLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SIP auth {} ({}) on sofia profile '{}' for [{}@{}] from ip {}",
            if self.failure { "failure" } else { "challenge" },
            if self.register { "REGISTER" } else { "INVITE" },
            Tame(self.profile),
            Tame(self.user),
            Tame(self.host),
            self.source.to_canonical(),
        )
    }
}

/// Text of a peer in which nothing can pass for the rest of the line: no brackets, quotes or control characters.
struct Tame<'a>(&'a str);

impl fmt::Display for Tame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for c in self.0.chars().take(128) {
            match c {
                '[' | ']' | '\'' | '<' | '>' => f.write_char('?')?,
                c if c.is_control() => f.write_char('?')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: AuthLine<'static> = AuthLine {
        failure: true,
        register: true,
        profile: "internal",
        user: "1000",
        host: "dom",
        source: IpAddr::V4(std::net::Ipv4Addr::new(1, 2, 3, 4)),
    };

    /// What fail2ban's filters look for, theirs and those of the FreeSWITCH notes, `<HOST>` put in.
    const FILTERS: [&str; 3] = [
        r"^\.\d+ \[WARNING\] sofia_reg\.c:\d+ SIP auth (failure|challenge) \((REGISTER|INVITE)\) on sofia profile \'[^']+\' for \[.*\] from ip (?P<host>[\w\-.^_:]+)$",
        r"\[WARNING\] sofia_reg.c:\d+ SIP auth (?:failure|challenge) \((?:REGISTER|INVITE)\) on sofia profile \'\w+\' for \[.*\] from ip (?P<host>[\w\-.^_:]+)",
        r"\[WARNING\](?: \([^\)]+\))? sofia_reg\.c:\d+ SIP auth (?:failure|challenge) \((?:REGISTER|INVITE)\) on sofia profile \'[^']+\' for \[[^\]]*\] from ip (?P<host>[\w\-.^_:]+)$",
    ];

    #[test]
    fn fail2ban_finds_the_source_whatever_the_peer_writes() {
        assert_eq!(
            LINE.to_string(),
            "SIP auth failure (REGISTER) on sofia profile 'internal' for [1000@dom] from ip 1.2.3.4"
        );
        for (line, host) in [
            (LINE, "1.2.3.4"),
            (AuthLine { failure: false, register: false, ..LINE }, "1.2.3.4"),
            (AuthLine { user: "1000] from ip 9.9.9.9\n", ..LINE }, "1.2.3.4"),
            (AuthLine { user: "", host: "'x' for [a@b] from ip 9.9.9.9", ..LINE }, "1.2.3.4"),
            (AuthLine { source: "2001:db8::1".parse().unwrap(), ..LINE }, "2001:db8::1"),
            (AuthLine { source: "::ffff:1.2.3.4".parse().unwrap(), ..LINE }, "1.2.3.4"),
        ] {
            let text = format!(".123456 {FAIL2BAN_PREFIX}{line}");
            for filter in FILTERS {
                let found = fancy_regex::Regex::new(filter).unwrap().captures(&text).unwrap();
                let found = found.unwrap_or_else(|| panic!("{filter}\n{text}"));
                assert_eq!(found.name("host").unwrap().as_str(), host, "{text}");
            }
        }
    }
}
