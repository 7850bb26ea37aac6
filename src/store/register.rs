//! Makes sqlite-vec part of every connection of this process.
#![allow(unsafe_code)]

use std::sync::Once;

use rusqlite::auto_extension::{RawAutoExtension, register_auto_extension};

static REGISTERED: Once = Once::new();

/// Registers sqlite-vec; call before the first connection is opened.
pub(super) fn register_sqlite_vec() {
    REGISTERED.call_once(|| {
        // SAFETY: `sqlite3_vec_init` has the signature of an extension entry point (its crate
        // declares it without arguments), it opens and closes no connection and it does not touch
        // the list of extensions.
        let registered = unsafe {
            let entry: RawAutoExtension =
                std::mem::transmute(sqlite_vec::sqlite3_vec_init as *const ());
            register_auto_extension(entry)
        };
        registered.expect("SQLite can allocate its list of extensions");
    });
}
