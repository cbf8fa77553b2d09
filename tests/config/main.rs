//! The configuration layer on whole trees: what is wrong is found at its place, what FreeSWITCH takes is taken.

#![allow(missing_docs)]

mod broken;
mod include;
mod never_panics;
mod preprocess;
mod trees;

use std::path::{Path, PathBuf};

use tandem::config::{Conf, Loaded, Options, load};

/// Stands in a text where a problem is expected; taken out before the text is read.
pub const MARK: char = '‸';

/// Line and column of each mark, and the text without them.
pub fn marks(text: &str) -> (String, Vec<(u32, u32)>) {
    let mut places = Vec::new();
    let mut plain = String::new();
    let (mut line, mut column) = (1, 1);
    for c in text.chars() {
        match c {
            MARK => {
                places.push((line, column));
                continue;
            }
            '\n' => (line, column) = (line + 1, 1),
            _ => column += 1,
        }
        plain.push(c);
    }
    (plain, places)
}

/// A folder that goes away with the value.
pub struct Folder(pub PathBuf);

impl Folder {
    #[allow(clippy::new_without_default)] // each is another folder
    pub fn new() -> Folder {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tandem-config-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(path.join("conf")).unwrap();
        Folder(path)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> &Self {
        let path = self.0.join("conf").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    pub fn conf(&self) -> PathBuf {
        self.0.join("conf")
    }

    pub fn load(&self) -> Loaded {
        load(&Options::new(self.conf()))
    }

    /// Problems, one line each, with the folder's name taken out.
    pub fn problems(&self) -> Vec<String> {
        shown(&self.load(), &self.0)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn shown(loaded: &Loaded, base: &Path) -> Vec<String> {
    let base = format!("{}/", base.display());
    loaded.problems.iter().map(|p| format!("{p:#}").replace(&base, "")).collect()
}

/// The tree with every typed view read.
pub fn check(mut loaded: Loaded) -> (Loaded, Conf) {
    let conf = Conf::read(&mut loaded);
    (loaded, conf)
}
