//! The rules of the house that need no compilation, held against the workspace itself.

use std::collections::BTreeMap;

use xtask::floors;
use xtask::gates::dependencies;
use xtask::workspace::{Metadata, Workspace};

fn members() -> Metadata {
    let workspace = Workspace::locate().expect("the checkout is where it was built");
    Metadata::of_members(&workspace).expect("the manifests can be read")
}

#[test]
fn dependencies_point_down_only() {
    let violations = floors::violations(&members());
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn core_uses_only_what_it_may() {
    let findings = dependencies::findings_of_core(&members());
    assert!(findings.is_empty(), "{findings:#?}");
}

#[test]
fn every_library_can_be_published_and_no_chore_is() {
    for member in members().members() {
        let chores = [
            "xtask",
            "jobyard-examples",
            "jobyard-benches",
            "jobyard-tests",
        ];
        let expected = !chores.contains(&&*member.name);
        assert_eq!(member.is_publishable(), expected, "{}", member.name);
    }
}

#[test]
fn no_page_of_the_documentation_overwrites_another() {
    let metadata = members();
    let mut pages: BTreeMap<String, &str> = BTreeMap::new();
    for member in metadata.members() {
        for target in member.targets.iter().filter(|target| target.doc) {
            let page = target.name.replace('-', "_");
            if let Some(other) = pages.insert(page, &member.name) {
                assert_eq!(other, member.name, "both have a page `{}`", target.name);
            }
        }
    }
}
