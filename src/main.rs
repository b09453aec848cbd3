//! `fencepost`: the command line. Composition only: each command's file joins the parts it needs.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
