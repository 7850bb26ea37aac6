//! What clients put into paths and headers, or hand back: ids of events, cursors, positions,
//! namespaces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use memnode_fuzz::memory::{ContentHash, EventId, Namespace, NamespaceSet, PageEnd, Position};

fuzz_target!(|text: &str| {
    if let Ok(id) = text.parse::<EventId>() {
        assert_eq!(id.to_string().parse::<EventId>().ok(), Some(id), "{text:?}");
    }
    if let Ok(name) = text.parse::<Namespace>() {
        assert_eq!(name.as_str().parse::<Namespace>().ok(), Some(name), "{text:?}");
    }
    if let Ok(end) = text.parse::<PageEnd>() {
        assert!(end.created_at.is_finite(), "{text:?}");
        assert_eq!(end.to_string(), text.to_ascii_lowercase());
    }
    // These only have to say no in an orderly way.
    let _ = text.parse::<NamespaceSet>();
    let _ = text.parse::<Position>();
    let _ = text.parse::<ContentHash>();
});
