//! `edge-ocr package DIR`: man pages and completions, made of the flags' own definition for `packaging/release`.
//!
//! Only in programs built with the feature `packaging`, and not a verb of [`Cli`]: completions name every verb,
//! hidden ones too, and the shipped program does not have this one.

use super::{Cli, exit};
use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;
use std::path::Path;

/// The exit code if the arguments are `package DIR`.
pub fn requested() -> Option<u8> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != "package" {
        return None;
    }
    let (Some(dir), None) = (args.next(), args.next()) else {
        print_error!("edge-ocr: package takes one argument, the directory to write to");
        return Some(exit::USAGE);
    };
    Some(match write(Path::new(&dir)) {
        Ok(()) => exit::OK,
        Err(error) => {
            print_error!("edge-ocr: man pages and completions could not be written to {}: {error}", dir.display());
            exit::FAILED
        }
    })
}

fn write(dir: &Path) -> std::io::Result<()> {
    let (man, completions) = (dir.join("man"), dir.join("completions"));
    std::fs::create_dir_all(&man)?;
    std::fs::create_dir_all(&completions)?;
    // `edge-ocr help` needs no page.
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    pages(&command, &man)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut Cli::command(), "edge-ocr", &completions)?;
    }
    Ok(())
}

/// A page for the command and one for each verb below it.
fn pages(command: &Command, dir: &Path) -> std::io::Result<()> {
    Man::new(command.clone())
        .source(concat!("edge-ocr ", env!("CARGO_PKG_VERSION")))
        .manual("User Commands")
        .generate_to(dir)?;
    command.get_subcommands().try_for_each(|verb| pages(verb, dir))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::read_to_string;

    #[test]
    fn subcommands_have_man_page_and_completions() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path()).unwrap();
        let page = read_to_string(dir.path().join("man/edge-ocr.1")).unwrap();
        let bash = dir.path().join("completions/edge-ocr.bash");
        let words = read_to_string(&bash).unwrap();
        for verb in Cli::command().get_subcommands().map(|verb| verb.get_name().to_string()) {
            // A hyphen is written \- in a page.
            assert!(page.contains(&format!("edge\\-ocr\\-{verb}(1)")), "{verb} is not in {page}");
            assert!(words.contains(&format!("edge__ocr,{verb})")), "{verb} is not in {words}");
            assert!(dir.path().join(format!("man/edge-ocr-{verb}.1")).is_file(), "{verb} has no page");
        }
        assert!(!page.contains("package") && !words.contains("package"), "what is shipped has no such verb");
        for file in ["_edge-ocr", "edge-ocr.fish"] {
            assert!(dir.path().join("completions").join(file).metadata().unwrap().len() > 1000, "{file} is empty");
        }
        match std::process::Command::new("bash").arg("-n").arg(&bash).status() {
            Ok(status) => assert!(status.success(), "bash refuses the completions"),
            Err(error) => eprintln!("skipped: no bash here ({error})"),
        }
    }
}
