//! The `inline` dialplan: the applications stand in the destination itself, `answer,playback:x.wav`.

use super::hunt::Action;
use super::quote::Template;
use super::separate::separate;
use crate::config::Position;

/// Applications one destination may name: FreeSWITCH's limit.
const MOST: usize = 128;

/// Reads `app:data,app2:data`; `m:<c>:` in front makes `<c>` the separator. Quotes `'…'` and `\` protect separators.
pub fn parse(text: &str) -> Vec<Action> {
    let mut characters = text.chars();
    let head = (characters.next(), characters.next(), characters.next(), characters.next());
    let (separator, list) = match head {
        (Some('m'), Some(':'), Some(c), Some(':')) => (c, characters.as_str()),
        _ => (',', text),
    };
    let at = Position::new("inline", 0, 0);
    separate(list, separator, MOST)
        .into_iter()
        .map(|item| {
            let (application, data) = item.split_once(':').unwrap_or((&item, ""));
            Action {
                application: application.trim_start_matches(' ').into(),
                data: Template::new(data),
                at: at.clone(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (text, expected) in [
            ("answer,playback:a.wav", vec![("answer", ""), ("playback", "a.wav")]),
            ("park", vec![("park", "")]),
            ("m:|:bridge:user/1,user/2|hangup", vec![("bridge", "user/1,user/2"), ("hangup", "")]),
            ("set:a=b\\,c, hangup:USER_BUSY", vec![("set", "a=b,c"), ("hangup", "USER_BUSY")]),
            ("set:'a=b,c',echo", vec![("set", "a=b,c"), ("echo", "")]),
            (
                "playback:tone_stream://%(1,2,3)",
                vec![("playback", "tone_stream://%(1"), ("2", ""), ("3)", "")],
            ),
            ("", vec![]),
            ("m:", vec![("m", "")]),
        ] {
            let actions = parse(text);
            let seen: Vec<_> = actions.iter().map(|a| (&*a.application, a.data.as_written())).collect();
            let expected: Vec<_> = expected.into_iter().map(|(a, d)| (a, d.into())).collect();
            assert_eq!(seen, expected, "{text}");
        }
        assert_eq!(parse(&"a,".repeat(500)).len(), MOST);
    }
}
