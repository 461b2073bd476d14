//! A projection that `index.projections` leaves out for a while.

use serde_json::{Value, json};
use tributary::app;
use tributary::config::Config;
use tributary::plan::CONTACTS;
use tributary::state::fjall::FjallStore;
use tributary::state::keys::Space;
use tributary::state::rows::{Backfill, encode};
use tributary::state::store::{Changes, StateStore};

use crate::harness::{GrowingLog, World};

struct Stage {
    world: World,
    log: GrowingLog,
}

impl Stage {
    /// A world whose index holds one contact.
    fn new(name: &str) -> Self {
        let log = GrowingLog::new();
        let stage = Self { world: World::embedded(name, &log.settings()), log };
        stage.call("Jane");
        stage.run();
        assert_eq!(stage.name(), "Jane");
        stage
    }

    fn call(&self, name: &str) {
        self.log.append("contacts", "c1", &json!({"name": name}));
    }

    fn run(&self) {
        self.world.succeed(&["run", "--until-end"]);
    }

    fn name(&self) -> Value {
        self.world.documents("contacts")["c1"]["name"].clone()
    }

    fn leave_contacts_out(&self) {
        self.world.write_config(&format!("{}index.projections = [\"organisations\"]\n", self.world.config));
    }

    fn keep_all_again(&self) {
        self.world.write_config(&self.world.config);
    }

    /// The contact's name changes while its projection is left out, and the projection comes back.
    fn call_without_contacts(&self, name: &str) {
        self.leave_contacts_out();
        self.call(name);
        self.run();
        self.keep_all_again();
        self.run();
    }

    /// An instance that died left a backfill of the contacts behind, which has passed the contact.
    fn begin_backfill(&self) {
        let config =
            Config::load(&app::kinds(), Some(&self.world.config_path()), std::iter::empty(), &Vec::new())
                .unwrap();
        let store = FjallStore::open(&self.world.path("state"), config.plan()).unwrap();
        let backfill = Backfill { step: 1, marks_from: Some(1), cursor: "c5".to_owned(), done: 1 };
        let mut changes = Changes::default();
        changes.put(Space::BACKFILLS, vec![CONTACTS.number()], encode(&backfill).unwrap());
        store.commit(changes).unwrap();
        store.sync().unwrap();
    }
}

#[test]
fn a_projection_that_comes_back_shows_the_changes_of_the_time_without_it() {
    let stage = Stage::new("left-out");
    stage.call_without_contacts("Joan");
    assert_eq!(stage.name(), "Joan");
    stage.world.succeed(&["verify"]);
}

#[test]
fn the_backfill_of_a_projection_that_is_left_out_fails_no_start() {
    let stage = Stage::new("left-out-in-a-backfill");
    stage.begin_backfill();
    stage.call_without_contacts("Joan");
    assert_eq!(stage.name(), "Joan");
    stage.world.succeed(&["verify"]);
}
