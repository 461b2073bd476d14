//! A rebuild that was interrupted, and whose model has lost one of its projections since: it waits for the projection.

use serde_json::{Value, json};

use crate::harness::{World, eventually, log_of};
use crate::model_changes::{SHOP, shop, shop_in, with_kettles_alone, write_model};
use crate::scene::{phase, record};
use crate::services;

/// The shop's model with a second projection.
fn with_brands() -> String {
    format!("{SHOP}\n[projections.brands]\nof = \"brands\"\n")
}

/// A command that is refused with exit code 2, the projection's name and the remedy.
fn is_refused(world: &World, arguments: &[&str]) {
    let refused = world.run(arguments);
    let told = log_of(&refused);
    assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {told}");
    for part in [
        "a rebuild of brands was begun here, and the model has no such projection now",
        "Restore the projection. Then end the rebuild with `tributary reindex`, or give it up with \
         `tributary reindex --abort`",
    ] {
        assert!(told.contains(part), "{arguments:?}: {part}: {told}");
    }
}

#[test]
fn a_rebuild_of_a_projection_that_the_model_lost_is_refused_until_the_projection_is_back() {
    let (servers, _turn) = services::whole();
    let (world, _log) =
        shop_in(|settings| World::new(&servers, "lost", &format!("{settings}index.mappings = \"m\"\n")));
    let with_brands = with_brands();
    write_model(&world, &with_brands);
    world.succeed(&["run", "--until-end"]);
    let indexes = || {
        let mut names = world.indexes();
        names.sort();
        names
    };
    let before = indexes();
    assert_eq!(before.len(), 2, "{before:?}");
    // The index of the brands refuses their names, so the rebuild stands at its check.
    let mut mapping: Value = serde_json::from_str(&world.succeed(&["model", "mapping", "brands"])).unwrap();
    mapping["mappings"]["properties"]["name"] = json!({"type": "integer"});
    std::fs::create_dir(world.path("m")).unwrap();
    std::fs::write(world.path("m").join("brands.json"), mapping.to_string()).unwrap();
    let failed = world.run(&["reindex", "--from", "state"]);
    assert_eq!(failed.status.code(), Some(1), "{}", log_of(&failed));
    let rebuilds = || ["products", "brands"].map(|projection| record(&world, projection));
    assert_eq!(rebuilds().map(|found| found.as_ref().map(phase)), [Some(2), Some(2)]);
    let (records, names) = (rebuilds(), indexes());
    assert_eq!(names.len(), 4, "{names:?}");

    write_model(&world, SHOP);
    is_refused(&world, &["reindex"]);
    // The products' part of the rebuild is not given up without that of the brands.
    is_refused(&world, &["reindex", "--abort"]);
    // A run that calls for no rebuild goes on, and the projection that is left serves.
    world.succeed(&["run", "--until-end"]);
    write_model(&world, &with_kettles_alone());
    is_refused(&world, &["run", "--until-end", "--reindex-on-mapping-change"]);
    assert_eq!((rebuilds(), indexes()), (records, names), "nothing of the rebuild changed");

    write_model(&world, &with_brands);
    let deleted = world.succeed(&["reindex", "--abort"]);
    assert!(deleted.contains("products-") && deleted.contains("brands-"), "{deleted}");
    assert_eq!((rebuilds(), indexes()), ([None, None], before));
    std::fs::remove_file(world.path("m").join("brands.json")).unwrap();
    world.succeed(&["run", "--until-end"]);
    world.settle();
    assert_eq!((world.documents("products").len(), world.documents("brands").len()), (2, 1));
}

#[test]
fn a_rebuild_of_a_projection_that_is_gone_is_refused_and_ends_once_the_projection_is_restored() {
    is_refused_until_restored(&["reindex"]);
}

#[test]
fn a_rebuild_of_a_projection_that_is_gone_is_refused_and_is_given_up_once_the_projection_is_restored() {
    is_refused_until_restored(&["reindex", "--abort"]);
}

fn is_refused_until_restored(remedy: &[&str]) {
    let (world, _log) = shop();
    let with_brands = with_brands();
    write_model(&world, &with_brands);
    world.succeed(&["run", "--until-end"]);
    let documents = world.documents("products");
    let mut rebuild = world.start(&["reindex"]);
    // It stays there for a while, because no instance says where it stopped.
    eventually("the rebuild feeds the indexes behind the aliases", || {
        assert_eq!(rebuild.0.try_wait().unwrap(), None, "{}", world.log());
        let feeds =
            |projection: &&str| record(&world, projection).is_some_and(|record| record["phase"] == "feeding");
        ["products", "brands"].iter().all(feeds).then_some(())
    });
    rebuild.kill();
    write_model(&world, SHOP);
    for _ in 0..2 {
        is_refused(&world, &["reindex"]);
        assert_eq!(record(&world, "brands").unwrap()["phase"], "feeding", "it is left as it is");
        assert_eq!(world.documents("products"), documents);
    }
    // An instance that is to rebuild what changed in the model ends as well.
    write_model(&world, &with_kettles_alone());
    is_refused(&world, &["run", "--until-end", "--reindex-on-mapping-change"]);
    write_model(&world, &with_brands);
    world.succeed(remedy);
    world.succeed(&["run", "--until-end"]);
    assert_eq!(world.documents("products"), documents);
    assert_eq!(world.documents("brands").len(), 1);
    world.succeed(&["verify"]);
    // Nothing of the rebuild is left, so the model may lose the projection now.
    write_model(&world, SHOP);
    world.succeed(&["reindex", "--rebuild", "--from", "state"]);
    world.succeed(&["run", "--until-end"]);
    assert_eq!(world.documents("products"), documents);
    world.succeed(&["verify"]);
}
