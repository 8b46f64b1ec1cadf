//! `crds/` matches the types, and the chart has the same CRDs.

use std::path::Path;

use cde_operator::api::{crds, crds_yaml};

#[test]
fn the_crds_in_the_repository_match_the_types() {
    // The chart has a copy, because a packaged chart cannot reach files outside of it.
    let directories = ["crds", "deploy/chart/files/crds"];
    for (crd, directory) in crds().iter().flat_map(|crd| directories.map(|directory| (crd, directory))) {
        let name = crd.metadata.name.clone().expect("a CRD has a name");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory).join(format!("{name}.yaml"));
        let generated = crds_yaml(crd).expect("a CRD is YAML");
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
