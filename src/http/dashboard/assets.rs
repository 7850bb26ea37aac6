//! The files of `static/`, in the program.

use std::fmt::Write;

use axum::http::HeaderValue;
use sha2::{Digest, Sha256};

/// One file.
pub(super) struct Asset {
    /// Its path within `static/`.
    pub name: &'static str,
    /// What is in it.
    pub body: &'static [u8],
}

/// The page.
pub(super) const INDEX: Asset =
    Asset { name: "index.html", body: include_bytes!("../../../static/index.html") };

/// Everything that it loads.
pub(super) const ASSETS: &[Asset] = &[
    Asset { name: "app.css", body: include_bytes!("../../../static/app.css") },
    Asset { name: "app.webmanifest", body: include_bytes!("../../../static/app.webmanifest") },
    Asset { name: "icon.svg", body: include_bytes!("../../../static/icon.svg") },
    Asset { name: "js/card.js", body: include_bytes!("../../../static/js/card.js") },
    Asset { name: "js/dom.js", body: include_bytes!("../../../static/js/dom.js") },
    Asset { name: "js/geometry.js", body: include_bytes!("../../../static/js/geometry.js") },
    Asset { name: "js/i18n.js", body: include_bytes!("../../../static/js/i18n.js") },
    Asset { name: "js/icons.js", body: include_bytes!("../../../static/js/icons.js") },
    Asset { name: "js/keep.js", body: include_bytes!("../../../static/js/keep.js") },
    Asset { name: "js/live.js", body: include_bytes!("../../../static/js/live.js") },
    Asset { name: "js/main.js", body: include_bytes!("../../../static/js/main.js") },
    Asset { name: "js/net.js", body: include_bytes!("../../../static/js/net.js") },
    Asset { name: "js/outbox.js", body: include_bytes!("../../../static/js/outbox.js") },
    Asset { name: "js/parts.js", body: include_bytes!("../../../static/js/parts.js") },
    Asset { name: "js/router.js", body: include_bytes!("../../../static/js/router.js") },
    Asset { name: "js/settings.js", body: include_bytes!("../../../static/js/settings.js") },
    Asset {
        name: "js/views/access.js",
        body: include_bytes!("../../../static/js/views/access.js"),
    },
    Asset {
        name: "js/views/cluster.js",
        body: include_bytes!("../../../static/js/views/cluster.js"),
    },
    Asset {
        name: "js/views/editor.js",
        body: include_bytes!("../../../static/js/views/editor.js"),
    },
    Asset { name: "js/views/feed.js", body: include_bytes!("../../../static/js/views/feed.js") },
    Asset { name: "js/views/files.js", body: include_bytes!("../../../static/js/views/files.js") },
    Asset { name: "js/views/map.js", body: include_bytes!("../../../static/js/views/map.js") },
    Asset {
        name: "js/views/memory.js",
        body: include_bytes!("../../../static/js/views/memory.js"),
    },
    Asset {
        name: "js/views/overview.js",
        body: include_bytes!("../../../static/js/views/overview.js"),
    },
    Asset {
        name: "js/views/search.js",
        body: include_bytes!("../../../static/js/views/search.js"),
    },
    Asset { name: "js/words.js", body: include_bytes!("../../../static/js/words.js") },
    Asset { name: "lang/de.json", body: include_bytes!("../../../static/lang/de.json") },
    Asset { name: "lang/en.json", body: include_bytes!("../../../static/lang/en.json") },
    Asset { name: "sw.js", body: include_bytes!("../../../static/sw.js") },
];

impl Asset {
    /// What kind of file it is, by the end of its name.
    pub fn media_type(&self) -> &'static str {
        match self.name.rsplit('.').next().unwrap_or_default() {
            "html" => "text/html; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "json" => "application/json",
            "svg" => "image/svg+xml",
            "webmanifest" => "application/manifest+json",
            _ => "application/octet-stream",
        }
    }

    /// Changes with the file. Weak, since what travels may be compressed.
    pub fn etag(&self) -> HeaderValue {
        let mut tag = "W/\"".to_owned();
        for byte in &Sha256::digest(self.body)[..16] {
            write!(tag, "{byte:02x}").expect("a string takes all");
        }
        HeaderValue::from_str(&(tag + "\"")).expect("hexadecimal is a header")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn files(directory: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                files(&path, found);
            } else {
                found.insert(path.display().to_string());
            }
        }
    }

    #[test]
    fn every_file_is_in_the_program_and_has_a_kind() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/static"));
        let mut found = BTreeSet::new();
        files(root, &mut found);
        let all = ASSETS.iter().chain([&INDEX]);
        let named: BTreeSet<String> =
            all.clone().map(|asset| root.join(asset.name).display().to_string()).collect();
        assert_eq!(named, found);
        for asset in all {
            assert_ne!(asset.media_type(), "application/octet-stream", "{}", asset.name);
        }
    }
}
