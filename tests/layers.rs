//! The house rule of `src/lib.rs`: a folder may use those declared before it, never those after it.

use std::fs;
use std::path::{Path, PathBuf};

/// The layers in the order `src/lib.rs` declares them.
fn layers() -> Vec<String> {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    lib.lines()
        .filter_map(|l| l.strip_prefix("pub mod ").and_then(|l| l.strip_suffix(';')))
        .map(str::to_owned)
        .collect()
}

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// Every layer named after `crate::` on a line, comments apart.
fn named(line: &str) -> Vec<String> {
    let code = line.split("//").next().unwrap_or("");
    let mut found = Vec::new();
    for part in code.split("crate::").skip(1) {
        let group = part.strip_prefix('{').map(|g| g.split('}').next().unwrap_or(g)).unwrap_or(part);
        for name in if part.starts_with('{') { group.split(',').collect() } else { vec![group] } {
            found.push(name.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    found
}

#[test]
fn no_layer_reaches_upwards() {
    let layers = layers();
    assert!(layers.len() > 10, "src/lib.rs declares the layers");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for (rank, layer) in layers.iter().enumerate() {
        let mut files = Vec::new();
        let folder = root.join(layer);
        if folder.is_dir() {
            sources(&folder, &mut files);
        } else {
            files.push(root.join(format!("{layer}.rs")));
        }
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            for (number, line) in text.lines().enumerate() {
                for used in named(line) {
                    if let Some(other) = layers.iter().position(|l| *l == used)
                        && other > rank
                    {
                        wrong.push(format!("{}:{}: {layer} uses {used}", file.display(), number + 1));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "layers reach upwards:\n{}", wrong.join("\n"));
}

#[test]
fn pure_layers_deny_clocks_and_spawns() {
    for layer in ["sip", "sdp", "transaction", "dialog"] {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(layer);
        let head = fs::read_to_string(root.join("mod.rs")).unwrap();
        assert!(head.contains("#![deny(clippy::disallowed_methods)]"), "{layer} must deny clocks");
        let mut files = Vec::new();
        sources(&root, &mut files);
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            for forbidden in ["tokio::", "std::net::UdpSocket", "std::net::Tcp", "std::fs::"] {
                let code = text.split("#[cfg(test)]").next().unwrap();
                assert!(!code.contains(forbidden), "{} uses {forbidden}", file.display());
            }
        }
    }
}
