//! The XML dialplan: contexts, the hunt, conditions, expansion of `${…}`.
