//! `say_string MODULE[.EXT] LANG[.EXT] TYPE METHOD [GENDER] TEXT` (mod_commands.c).

use super::world::World;
use crate::app::say::{Clock, english};
use crate::dialplan::separate;

const USAGE: &str =
    "-ERR Usage: <module_name>[.<ext>] <lang>[.<ext>] <say_type> <say_method> [<say_gender>] <text>\n";
/// What a text without its `~` begins with.
const SCHEME: &str = "file_string://";

/// The sound files that say a text. With a `~` before the text they stand there without `file_string://`.
pub fn say_string(world: &dyn World, text: &str) -> String {
    let words = separate(text, ' ', 6);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (module, language, kind, method, text) = match words.as_slice() {
        [module, language, kind, method, text] | [module, language, kind, method, _, text] => {
            (module, language, kind, method, *text)
        }
        _ => return USAGE.to_owned(),
    };
    let named =
        |word: &'_ str| word.split_once('.').map(|(name, extension)| (name.to_owned(), extension.to_owned()));
    let extension = named(module).or_else(|| named(language)).map_or_else(|| "wav".to_owned(), |(_, e)| e);
    let module = module.split('.').next().unwrap_or("");
    if module != "en" {
        tracing::error!("say_string: Invalid SAY Interface [{module}]! (there is en)");
        return USAGE.to_owned();
    }
    let wanted =
        world.channel().and_then(|channel| channel.variable("timezone")).map(|zone| zone.text.into_owned());
    let clock = Clock { now: world.now(), local: world.time_zone(), wanted };
    let bare = text.strip_prefix('~');
    match english(kind, method, bare.unwrap_or(text), &extension, &clock) {
        Some(files) if bare.is_some() => files.strip_prefix(SCHEME).unwrap_or(&files).to_owned(),
        Some(files) => files,
        None => USAGE.to_owned(),
    }
}
