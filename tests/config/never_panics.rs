//! Whatever a file holds: no panic, positions within the text, an end.

use proptest::prelude::*;
use tandem::config::{Conf, Options, parse};

fn read(text: &str) {
    let mut loaded = parse("t.xml", text, &Options::new("conf"));
    let _ = Conf::read(&mut loaded);
    let lines = text.split('\n').count() as u32;
    for problem in &loaded.problems {
        assert!(problem.at.line <= lines, "{problem} in {text:?}");
        assert!(!problem.message.is_empty() && !problem.to_string().contains('\n'), "{problem:?}");
    }
}

/// Pieces that mean something, to get deeper than random characters do.
fn piece() -> impl Strategy<Value = String> {
    let words: Vec<&str> = vec![
        "<",
        ">",
        "/>",
        "</",
        "=",
        "\"",
        "'",
        "&",
        ";",
        "\n",
        " ",
        "<!--",
        "-->",
        "<!--#",
        "<![CDATA[",
        "]]>",
        "<?",
        "?>",
        "<include>",
        "</include>",
        "<!DOCTYPE",
        "<X-PRE-PROCESS ",
        "cmd=\"set\" ",
        "cmd=\"include\" ",
        "data=\"a=b\"",
        "data=\"*.xml\"",
        "$${",
        "$${a}",
        "}",
        "${",
        "<document>",
        "</document>",
        "<section name=\"configuration\">",
        "</section>",
        "<configuration name=\"sofia.conf\">",
        "<profiles>",
        "<profile name=\"x\">",
        "<settings>",
        "<param name=\"sip-ip\" value=\"",
        "<param name=\"rtp-ip\" value=\"1\"/>",
        "</settings>",
        "</profile>",
        "é",
        "\u{0}",
        "\r",
        "<!--#set a=b",
        "stun:",
        "&#x",
        "&amp;",
    ];
    prop_oneof![
        4 => proptest::sample::select(words).prop_map(str::to_owned),
        1 => "\\PC{0,8}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn on_random_text(text in "(?s).{0,200}") {
        read(&text);
    }

    #[test]
    fn on_random_pieces(pieces in proptest::collection::vec(piece(), 0..40)) {
        read(&pieces.concat());
    }

    #[test]
    fn on_values(name in proptest::sample::select(tandem::config::sofia::known_names().collect::<Vec<_>>()), value in "\\PC{0,24}") {
        let value = value.replace(['"', '<', '&', '$'], "x");
        let text = format!(
            "<document><section name=\"configuration\"><configuration name=\"sofia.conf\"><profiles><profile name=\"x\"><settings>\n\
             <param name=\"{name}\" value=\"{value}\"/>\n</settings></profile></profiles></configuration></section></document>"
        );
        read(&text);
    }

    /// A text without `$${` comes back to the places it was typed at.
    #[test]
    fn positions_are_exact(before in "[ a-zé\n]{0,60}", name in "[a-z]{1,8}") {
        let text = format!("<document>{before}<{name}/></document>");
        let loaded = parse("t.xml", &text, &Options::new("conf"));
        let at = &loaded.root.children.first().expect("one child").at;
        let typed = format!("<document>{before}");
        let line = typed.matches('\n').count() as u32 + 1;
        let column = typed.rsplit('\n').next().unwrap_or("").chars().count() as u32 + 1;
        prop_assert_eq!((at.line, at.column), (line, column));
    }
}

#[test]
fn on_deep_and_wide_trees() {
    for depth in [199, 200, 5000, 200_000] {
        let text = "<a>".repeat(depth) + &"</a>".repeat(depth);
        let loaded = parse("t.xml", &text, &Options::new("conf"));
        assert_eq!(loaded.is_sound(), depth <= 200, "{depth}");
    }
    let text = format!("<document>{}</document>", "<a b=\"c\"/>".repeat(100_000));
    assert_eq!(parse("t.xml", &text, &Options::new("conf")).root.children.len(), 100_000);
}
