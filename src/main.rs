//! The `memnode` program.

fn main() -> std::process::ExitCode {
    memnode::cli::run()
}
