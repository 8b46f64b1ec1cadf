//! `crds/` holds what the types say, and the chart the same.

use std::path::Path;

use cde_operator::api::{crds, crds_yaml};

#[test]
fn the_definitions_in_the_repository_are_those_of_the_types() {
    // The chart has a copy: a packaged one reaches nothing beside itself.
    let directories = ["crds", "deploy/chart/files/crds"];
    for (crd, directory) in crds().iter().flat_map(|crd| directories.map(|directory| (crd, directory))) {
        let name = crd.metadata.name.clone().expect("a definition has a name");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory).join(format!("{name}.yaml"));
        let generated = crds_yaml(crd).expect("a definition is YAML");
        if std::env::var_os("UPDATE_CRDS").is_some() {
            std::fs::write(&file, &generated).expect("the file can be written");
        }
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            kept == generated,
            "{} is not what the types say; run `UPDATE_CRDS=1 cargo test --test generated crds::` and look at the change",
            file.display()
        );
    }
}
