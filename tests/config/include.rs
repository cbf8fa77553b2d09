//! Includes: order, chain, what is refused.

use tandem::config::{Options, load};

use crate::{Folder, shown};

fn include(what: &str) -> String {
    format!("<X-PRE-PROCESS cmd=\"include\" data=\"{what}\"/>\n")
}

fn root(inside: &str) -> String {
    format!("<document>\n{inside}</document>\n")
}

#[test]
fn a_glob_is_sorted_by_byte_and_leaves_hidden_files_out() {
    let folder = Folder::new();
    folder.write("freeswitch.xml", root(&include("d/*.xml")));
    for name in ["b", "a", "B", "10_x", "2_x", "é", ".hidden", "a.b"] {
        folder.write(
            &format!("d/{name}.xml"),
            format!("<include>\n<{}/>\n</include>\n", "f").replace("<f/>", &format!("<f n=\"{name}\"/>")),
        );
    }
    folder.write("d/not.txt", "<f n=\"txt\"/>");
    let loaded = folder.load();
    let order: Vec<&str> = loaded.root.children.iter().filter_map(|c| c.attr("n")).collect();
    assert_eq!(order, ["10_x", "2_x", "B", "a.b", "a", "b", "é"]);
    assert_eq!(loaded.problems, []);
}

/// So many that they are read ahead: the order is kept, and what is large, broken or includes more is read all the same.
#[test]
fn a_folder_of_many_files_is_read_in_its_order() {
    let folder = Folder::new();
    folder.write("freeswitch.xml", root(&include("d/*.xml")));
    for n in 0..3000 {
        let text = match n {
            700 => format!("<include>\n<f n=\"{n}\"/>\n<!--{}-->\n</include>\n", " ".repeat(200_000)),
            800 => format!("<include>\n<f n=\"{n}\"/>\n{}</include>\n", include("../e/*.xml")),
            900 => format!("<include>\n<f n=\"{n}\"/>\n{}</include>\n", include("0900.xml")),
            _ => format!("<include>\n<f n=\"{n}\"/>\n</include>\n"),
        };
        folder.write(&format!("d/{n:04}.xml"), text);
    }
    for n in 0..100 {
        folder.write(&format!("e/{n:02}.xml"), format!("<include>\n<f n=\"e{n}\"/>\n</include>\n"));
    }
    std::fs::create_dir(folder.conf().join("d/2000a.xml")).unwrap();
    let loaded = folder.load();
    let order: Vec<&str> = loaded.root.children.iter().filter_map(|c| c.attr("n")).collect();
    let inner = (0..100).map(|n| format!("e{n}"));
    let expected = (0..=800).map(|n| n.to_string()).chain(inner).chain((801..3000).map(|n| n.to_string()));
    assert_eq!(order, expected.collect::<Vec<_>>());
    assert_eq!(loaded.files.len(), 1 + 3000 + 100);
    assert_eq!(
        shown(&loaded, &folder.0),
        [
            "conf/d/0900.xml:3:36: conf/d/0900.xml includes itself; remove the include, or narrow the pattern so that it \
             leaves this file out\n    included from conf/freeswitch.xml:2:1",
            "conf/freeswitch.xml:2:36: conf/d/2000a.xml cannot be included: it is a folder; it must be a file readable by \
             the user the switch runs as",
        ]
    );
}

#[test]
fn paths_are_relative_to_the_including_file_and_the_chain_is_kept() {
    let folder = Folder::new();
    folder
        .write("freeswitch.xml", root(&format!("  {}", include("a/one.xml"))))
        .write("a/one.xml", format!("<include>\n{}</include>\n", include("../b/two.xml")))
        .write("b/two.xml", include("c/*.xml"))
        .write("b/c/three.xml", "<include>\n  <deep v=\"$${none}\"/>\n</include>\n");
    let loaded = folder.load();
    assert!(loaded.root.child("deep").is_some());
    assert_eq!(
        shown(&loaded, &folder.0),
        [
            "conf/b/c/three.xml:2:12: warning: $${none} is not set, so it is empty here; set it in vars.xml or with --set none=…\n    \
          included from conf/b/two.xml:1:1\n    included from conf/a/one.xml:2:1\n    included from conf/freeswitch.xml:2:3"
        ]
    );
}

#[test]
fn variables_of_an_included_file_reach_the_includer() {
    let folder = Folder::new();
    folder
        .write("freeswitch.xml", root(&(include("vars.xml") + "<r v=\"$${a}\"/>\n")))
        .write("vars.xml", "<include>\n<X-PRE-PROCESS cmd=\"set\" data=\"a=1\"/>\n</include>");
    let loaded = folder.load();
    assert_eq!(loaded.root.child("r").unwrap().attr("v"), Some("1"));
    assert_eq!(
        loaded.set_at("A").unwrap().to_string(),
        folder.conf().join("vars.xml:2:32").display().to_string()
    );
}

#[test]
fn what_cannot_be_included() {
    let folder = Folder::new();
    folder
        .write(
            "freeswitch.xml",
            root(&(include("loop.xml") + &include("d") + &include("defualt.xml") + &include("none*.xml"))),
        )
        .write("loop.xml", include("other.xml"))
        .write("other.xml", include("*op.xml"))
        .write("d/x.xml", "")
        .write("default.xml", "");
    assert_eq!(
        folder.problems(),
        [
            "conf/other.xml:1:36: conf/loop.xml includes itself; remove the include, or narrow the pattern so that it leaves this file out\n    \
             included from conf/loop.xml:1:1\n    included from conf/freeswitch.xml:2:1",
            "conf/freeswitch.xml:3:36: conf/d cannot be included: it is a folder; it must be a file readable by the user the switch runs as",
            "conf/freeswitch.xml:4:36: warning: there is no file conf/defualt.xml; did you mean default.xml?",
            "conf/freeswitch.xml:5:36: note: no file matches none*.xml",
        ]
    );
}

#[test]
fn nesting_ends_at_a_hundred() {
    let folder = Folder::new();
    folder.write("freeswitch.xml", root(&include("1.xml")));
    for n in 1..=101 {
        folder.write(&format!("{n}.xml"), include(&format!("{}.xml", n + 1)));
    }
    let problems = folder.load().problems;
    assert_eq!(problems.len(), 1);
    assert!(problems[0].message.contains("more than 100 deep"), "{}", problems[0]);
    assert_eq!(problems[0].at.chain().count(), 100);
}

#[test]
fn outside_the_folder_only_by_its_whole_path_and_with_a_warning() {
    let folder = Folder::new();
    let outside = folder.0.join("outside.xml");
    std::fs::write(&outside, "<o/>").unwrap();
    folder.write(
        "freeswitch.xml",
        root(&(include("../outside.xml") + &include(&outside.display().to_string()))),
    );
    let loaded = folder.load();
    let problems = shown(&loaded, &folder.0);
    assert!(
        problems[0]
            .starts_with("conf/freeswitch.xml:2:36: ../outside.xml leads out of the configuration folder"),
        "{problems:?}"
    );
    assert!(problems[1].starts_with("conf/freeswitch.xml:3:36: warning: "), "{problems:?}");
    assert_eq!(loaded.root.children.len(), 1);
}

#[test]
fn no_root_file() {
    let folder = Folder::new();
    assert_eq!(
        folder.problems(),
        ["conf/freeswitch.xml: there is no such file; give the folder that holds freeswitch.xml with --conf"]
    );
}

#[test]
fn secrets_may_be_absent_and_the_flat_text_is_written() {
    let folder = Folder::new();
    folder
        .write(
            "freeswitch.xml",
            root(&(include("secrets.xml") + &include("$${db_dir}/secrets.xml") + &include("a.xml"))),
        )
        .write("a.xml", "<include>\n<a v=\"$${hostname}\"/>\n</include>\n");
    let mut options = Options::new(folder.conf());
    options.log_dir = folder.0.join("log");
    options.hostname = Some("box".into());
    options.write_flat = true;
    assert_eq!(load(&options).problems, []);
    let flat = std::fs::read_to_string(folder.0.join("log/freeswitch.xml.fsxml")).unwrap();
    assert_eq!(flat, "<document>\n<a v=\"box\"/>\n</document>\n");
}

#[test]
fn globals_of_the_core() {
    let folder = Folder::new();
    folder.write("freeswitch.xml", root(""));
    let loaded = folder.load();
    for name in [
        "base_dir",
        "conf_dir",
        "log_dir",
        "run_dir",
        "db_dir",
        "mod_dir",
        "htdocs_dir",
        "script_dir",
        "temp_dir",
        "grammar_dir",
        "fonts_dir",
        "images_dir",
        "certs_dir",
        "storage_dir",
        "cache_dir",
        "data_dir",
        "localstate_dir",
        "recordings_dir",
        "sounds_dir",
        "sound_prefix",
    ] {
        let value = loaded.globals.get(name).unwrap_or_else(|| panic!("{name} is not set"));
        assert!(value.starts_with('/'), "{name} is {value}");
    }
    for name in ["hostname", "local_ip_v4", "local_ip_v6", "local_mask_v4"] {
        assert!(loaded.globals.get(name).is_some(), "{name}");
    }
}
