//! What a reload builds beside what is, and what becomes of the old.
//!
//! With 100,000 users building takes a good part of a second, and so does giving the old users' memory back. Both are done
//! on threads where nobody waits.

use std::sync::Arc;
use std::time::Duration;

use super::{Tree, acls, without_directory};
use crate::channel::Exchange;
use crate::config::changes;
use crate::config::conf::Conf;
use crate::config::{Element, Globals};
use crate::dialplan::Dialplan;
use crate::directory::Snapshot;
use crate::net::acl::Acls;

/// A generation of everything that is swapped whole, the profiles apart.
pub(super) struct Generation {
    pub conf: Conf,
    pub globals: Globals,
    pub tree: Arc<Element>,
    pub dialplan: Arc<Dialplan>,
    pub directory: Arc<Snapshot>,
    pub acls: Arc<Acls>,
}

impl Generation {
    /// Builds the look-ups of a tree that is sound.
    pub(super) fn of(tree: Tree) -> Generation {
        let Tree { loaded, mut conf, dialplan } = tree;
        let directory = Snapshot::of(std::mem::take(&mut conf.directory));
        Generation {
            acls: Arc::new(acls(&conf, &directory)),
            directory: Arc::new(directory),
            globals: loaded.globals,
            tree: Arc::new(without_directory(loaded.root)),
            dialplan: Arc::new(dialplan),
            conf,
        }
    }

    /// What is another than in the one that runs, profiles and gateways apart.
    pub(super) fn differences(&self, running: &Exchange) -> Vec<String> {
        let mut said = self.directory.differences(&running.directory.snapshot());
        said.extend(changes::of_trees(&running.tree.load(), &self.tree));
        said.extend(changes::of_globals(&running.globals, &self.globals));
        said
    }
}

/// A generation that was.
pub(super) struct Old {
    pub directory: Arc<Snapshot>,
    pub tree: Arc<Element>,
    pub dialplan: Arc<Dialplan>,
    pub acls: Arc<Acls>,
}

/// How long calls may go on looking at an old generation before it is left to the last of them.
const LINGER: Duration = Duration::from_secs(10);

impl Old {
    /// Gives its memory back once nobody looks at it any more, on a thread where nobody waits for that.
    pub(super) async fn forget(self) {
        let used = |old: &Old| {
            Arc::strong_count(&old.directory) > 1
                || Arc::strong_count(&old.tree) > 1
                || Arc::strong_count(&old.dialplan) > 1
                || Arc::strong_count(&old.acls) > 1
        };
        let until = tokio::time::Instant::now() + LINGER;
        while used(&self) && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let _ = tokio::task::spawn_blocking(move || drop(self)).await;
    }
}
