//! Every dependency that is linked into the program has a permissive licence, and comes from the registry that
//! `Cargo.lock` pins by a checksum.

use std::process::Command;

use serde_json::Value;

/// The licences of code that may be linked and passed on with a notice (<https://spdx.org/licenses/>).
const TAKEN: [&str; 10] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Zlib",
];

/// All parts joined by AND must be met, each by one of those joined by OR (in old manifests a slash).
fn is_taken(expression: &str) -> bool {
    expression.split(" AND ").all(|part| {
        let part = part.trim_matches(['(', ')', ' ']).replace('/', " OR ");
        part.split(" OR ").any(|one| TAKEN.contains(&one.trim()))
    })
}

/// The packages that the program is built of on this machine.
fn packages() -> Vec<Value> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let version = Command::new("rustc").arg("-vV").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned();
    let told = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", &host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    told["packages"].as_array().unwrap().clone()
}

#[test]
fn every_dependency_has_a_licence_that_may_be_linked() {
    let packages = packages();
    assert!(packages.len() > 100, "{} packages", packages.len());
    let refused: Vec<String> = packages
        .iter()
        .filter(|package| !package["license"].as_str().is_some_and(is_taken))
        .map(|package| format!("{}: {}", package["name"], package["license"]))
        .collect();
    assert!(refused.is_empty(), "look at {refused:?}; add what may be linked to the list here");
}

#[test]
fn nothing_comes_from_elsewhere_than_the_registry() {
    let from_elsewhere: Vec<String> = packages()
        .iter()
        .filter(|package| package["source"].as_str().is_some_and(|source| !source.starts_with("registry+")))
        .map(|package| format!("{} from {}", package["name"], package["source"]))
        .collect();
    assert!(from_elsewhere.is_empty(), "{from_elsewhere:?}");
}

#[test]
fn a_licence_is_judged_by_its_expression() {
    for taken in ["MIT", "MIT/Apache-2.0", "Apache-2.0 OR GPL-2.0-only", "(MIT OR Foo) AND Unicode-3.0"] {
        assert!(is_taken(taken), "{taken}");
    }
    for refused in ["GPL-3.0", "MIT AND GPL-3.0", "", "SSPL-1.0 OR AGPL-3.0"] {
        assert!(!is_taken(refused), "{refused}");
    }
}
