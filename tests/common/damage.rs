//! What a bad disk does to a file.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Flips a bit in every 4 KiB but those of the first third.
pub fn flip_bits(path: &Path) {
    let file = OpenOptions::new().read(true).write(true).open(path).expect("a file");
    let size = file.metadata().expect("a file").len();
    for place in (size / 3..size).step_by(4096) {
        let mut byte = [0];
        file.read_exact_at(&mut byte, place).expect("a byte");
        file.write_all_at(&[byte[0] ^ 0x10], place).expect("a byte");
    }
}
