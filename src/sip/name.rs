//! Header names: the known ones as numbers, found in any case and in their compact forms (RFC 3261 §7.3.3, §20).

use std::fmt;

macro_rules! names {
    ($($id:ident $name:literal $compact:literal,)*) => {
        /// The name of a header we know; [`Name::Other`] for all the rest.
        #[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
        #[repr(u8)]
        pub enum Name {
            $(#[doc = $name] $id,)*
            /// A name not in this list; its text is in the message.
            Other,
        }

        impl Name {
            /// Every known name.
            pub const ALL: &'static [Name] = &[$(Name::$id,)*];

            /// As we write it. Empty for [`Name::Other`].
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Name::$id => $name,)*
                    Name::Other => "",
                }
            }

            /// The one-letter form, if the name has one.
            pub const fn compact(self) -> Option<char> {
                match match self {
                    $(Name::$id => $compact,)*
                    Name::Other => ' ',
                } {
                    ' ' => None,
                    letter => Some(letter),
                }
            }
        }
    };
}

names! {
    Accept "Accept" ' ',
    AcceptContact "Accept-Contact" 'a',
    AcceptEncoding "Accept-Encoding" ' ',
    AcceptLanguage "Accept-Language" ' ',
    AlertInfo "Alert-Info" ' ',
    Allow "Allow" ' ',
    AllowEvents "Allow-Events" 'u',
    AuthenticationInfo "Authentication-Info" ' ',
    Authorization "Authorization" ' ',
    CallId "Call-ID" 'i',
    CallInfo "Call-Info" ' ',
    Contact "Contact" 'm',
    ContentDisposition "Content-Disposition" ' ',
    ContentEncoding "Content-Encoding" 'e',
    ContentLanguage "Content-Language" ' ',
    ContentLength "Content-Length" 'l',
    ContentType "Content-Type" 'c',
    CSeq "CSeq" ' ',
    Date "Date" ' ',
    Diversion "Diversion" ' ',
    ErrorInfo "Error-Info" ' ',
    Event "Event" 'o',
    Expires "Expires" ' ',
    From "From" 'f',
    HistoryInfo "History-Info" ' ',
    Identity "Identity" 'y',
    InReplyTo "In-Reply-To" ' ',
    Join "Join" ' ',
    MaxForwards "Max-Forwards" ' ',
    MimeVersion "MIME-Version" ' ',
    MinExpires "Min-Expires" ' ',
    MinSe "Min-SE" ' ',
    Organization "Organization" ' ',
    PAssertedIdentity "P-Asserted-Identity" ' ',
    PPreferredIdentity "P-Preferred-Identity" ' ',
    Path "Path" ' ',
    Priority "Priority" ' ',
    Privacy "Privacy" ' ',
    ProxyAuthenticate "Proxy-Authenticate" ' ',
    ProxyAuthorization "Proxy-Authorization" ' ',
    ProxyRequire "Proxy-Require" ' ',
    RAck "RAck" ' ',
    Reason "Reason" ' ',
    RecordRoute "Record-Route" ' ',
    ReferSub "Refer-Sub" ' ',
    ReferTo "Refer-To" 'r',
    ReferredBy "Referred-By" 'b',
    RejectContact "Reject-Contact" 'j',
    RemotePartyId "Remote-Party-ID" ' ',
    Replaces "Replaces" ' ',
    ReplyTo "Reply-To" ' ',
    RequestDisposition "Request-Disposition" 'd',
    Require "Require" ' ',
    RetryAfter "Retry-After" ' ',
    Route "Route" ' ',
    RSeq "RSeq" ' ',
    Server "Server" ' ',
    ServiceRoute "Service-Route" ' ',
    SessionExpires "Session-Expires" 'x',
    SipEtag "SIP-ETag" ' ',
    SipIfMatch "SIP-If-Match" ' ',
    Subject "Subject" 's',
    SubscriptionState "Subscription-State" ' ',
    Supported "Supported" 'k',
    Timestamp "Timestamp" ' ',
    To "To" 't',
    Unsupported "Unsupported" ' ',
    UserAgent "User-Agent" ' ',
    Via "Via" 'v',
    Warning "Warning" ' ',
    WwwAuthenticate "WWW-Authenticate" ' ',
}

const LONGEST: usize = 24;

/// Known names with their text, those of one length and first letter together, and where each such group begins and ends.
struct Groups {
    sorted: [(&'static [u8], Name); Name::ALL.len()],
    /// By length and first letter.
    places: [[(u8, u8); 26]; LONGEST + 1],
}

static GROUPS: Groups = {
    let mut sorted: [(&[u8], Name); Name::ALL.len()] = [(b"", Name::Other); Name::ALL.len()];
    let mut places = [[(0, 0); 26]; LONGEST + 1];
    let (mut filled, mut length) = (0, 0);
    while length <= LONGEST {
        let mut letter = 0;
        while letter < 26 {
            let start = filled;
            let mut i = 0;
            while i < Name::ALL.len() {
                let text = Name::ALL[i].as_str().as_bytes();
                if text.len() == length && text[0] == b'A' + letter {
                    sorted[filled] = (text, Name::ALL[i]);
                    filled += 1;
                }
                i += 1;
            }
            places[length][letter as usize] = (start as u8, filled as u8);
            letter += 1;
        }
        length += 1;
    }
    assert!(filled == Name::ALL.len());
    Groups { sorted, places }
};

/// The name of each compact letter `a`–`z`.
const BY_LETTER: [Name; 26] = {
    let mut letters = [Name::Other; 26];
    let mut i = 0;
    while i < Name::ALL.len() {
        if let Some(letter) = Name::ALL[i].compact() {
            letters[letter as usize - 'a' as usize] = Name::ALL[i];
        }
        i += 1;
    }
    letters
};

impl Name {
    /// Looks a name up, full or compact, in any case.
    pub fn from_bytes(name: &[u8]) -> Name {
        if let [letter] = name {
            let index = letter.to_ascii_lowercase().wrapping_sub(b'a');
            return BY_LETTER.get(usize::from(index)).copied().unwrap_or(Name::Other);
        }
        let letter = name.first().map_or(u8::MAX, |c| c.to_ascii_lowercase().wrapping_sub(b'a'));
        let place = GROUPS.places.get(name.len()).and_then(|letters| letters.get(usize::from(letter)));
        let Some(&(start, end)) = place else { return Name::Other };
        let alike = GROUPS.sorted.get(usize::from(start)..usize::from(end)).unwrap_or(&[]);
        // As nearly everybody writes it, or in any case.
        let same = |known: &[u8]| known == name || known.eq_ignore_ascii_case(name);
        alike.iter().find(|(known, _)| same(known)).map_or(Name::Other, |(_, found)| *found)
    }

    /// Looks a name up, full or compact, in any case.
    pub fn from_name(name: &str) -> Name {
        Name::from_bytes(name.as_bytes())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_compact_and_odd_case() {
        for &name in Name::ALL {
            assert_eq!(Name::from_name(name.as_str()), name);
            assert_eq!(Name::from_name(&name.as_str().to_lowercase()), name);
            assert_eq!(Name::from_name(&name.as_str().to_uppercase()), name);
            if let Some(letter) = name.compact() {
                assert_eq!(Name::from_name(&letter.to_string()), name);
                assert_eq!(Name::from_name(&letter.to_uppercase().to_string()), name);
            }
        }
        for other in ["", "Vias", "X-Foo", "z", "_", "é", "A-Header-Longer-Than-Every-Known-One"] {
            assert_eq!(Name::from_name(other), Name::Other, "{other}");
        }
    }

    #[test]
    fn compact_letters_of_the_registry() {
        for (letter, name) in [
            ("i", Name::CallId),
            ("m", Name::Contact),
            ("e", Name::ContentEncoding),
            ("l", Name::ContentLength),
            ("c", Name::ContentType),
            ("f", Name::From),
            ("k", Name::Supported),
            ("s", Name::Subject),
            ("t", Name::To),
            ("v", Name::Via),
            ("o", Name::Event),
            ("u", Name::AllowEvents),
            ("r", Name::ReferTo),
            ("b", Name::ReferredBy),
            ("x", Name::SessionExpires),
        ] {
            assert_eq!(Name::from_name(letter), name);
        }
    }
}
