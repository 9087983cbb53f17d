//! Every target over the inputs that are kept: what it begins with, and what once broke it.

use std::{fs, panic, path::Path};

use taskscope_fuzz::{TARGETS, Target};

/// The files of a target in one of the folders.
fn inputs(folder: &str, target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(target);
    let Ok(entries) = fs::read_dir(&folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap_or_else(|error| panic!("{}: {error}", folder.display())).path());
    paths.map(|path| (path.display().to_string(), fs::read(&path).unwrap_or_else(|error| panic!("{error}")))).collect()
}

fn survives((name, check): Target) {
    let seeds = inputs("seeds", name);
    assert!(!seeds.is_empty(), "{name} has no seeds");
    let broken: Vec<String> = seeds
        .into_iter()
        .chain(inputs("regressions", name))
        .filter(|(_, input)| panic::catch_unwind(|| check(input)).is_err())
        .map(|(path, _)| path)
        .collect();
    assert!(broken.is_empty(), "a promise is broken for {broken:#?}");
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                let target = TARGETS.into_iter().find(|(name, _)| *name == stringify!($name));
                survives(target.expect("it is a target"));
            }
        )*

        #[test]
        fn every_target_is_tested() {
            let names = TARGETS.map(|(name, _)| name);
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

targets! { cursors events redaction search socket state taskiq }
