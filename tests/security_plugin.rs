//! OpenSearch with its security plugin: TLS, and a user with the rights that the page on operations names.

use serde_json::Value;

use crate::harness::log_of;
use crate::security::{Tidy, authority, world};
use crate::services;

#[test]
fn opensearch_with_its_security_plugin_is_indexed_searched_and_rebuilt_over_tls() {
    let secured = services::secured_opensearch();
    let user = "index.kind = \"opensearch\"\nindex.username = \"tributary\"\n";
    let mut world = world(&secured.elasticsearch, "guarded", &(authority(&secured, "ca.pem") + user));
    world.environment.push(("TRIBUTARY_INDEX__PASSWORD", secured.password.clone()));
    let _tidy = Tidy(secured.clone(), world.prefix.clone());
    world.succeed(&["check"]);
    world.succeed(&["run", "--until-end"]);
    let found = || {
        let found = world.succeed(&["search", "--in", "contacts", "--format", "json", "jane"]);
        serde_json::from_str::<Value>(&found).unwrap()["hits"][0]["id"].clone()
    };
    assert_eq!(found(), "c1");
    world.succeed(&["reindex", "--from", "state"]);
    world.succeed(&["verify"]);
    assert_eq!(found(), "c1");
}

#[test]
fn what_the_security_plugin_refuses_ends_the_run_with_1() {
    let secured = services::secured_opensearch();
    let password = |text: &str| format!("index.username = \"tributary\"\nindex.password = {text:?}\n");
    for (extra, told) in [
        (
            authority(&secured, "ca.pem") + &password("wr0ngs3cr3t7788"),
            "check index.username and index.password",
        ),
        (authority(&secured, "ca.pem"), "check index.username and index.password"),
        (authority(&secured, "other-ca.pem") + &password(&secured.password), "index.ca_certificate"),
        (password(&secured.password), "index.ca_certificate"),
    ] {
        let output = world(&secured.elasticsearch, "refused", &extra).run(&["run", "--until-end"]);
        let log = log_of(&output);
        assert!(output.status.code() == Some(1) && log.contains(told), "{log}");
        assert!(!log.contains("wr0ngs3cr3t7788") && !log.contains(&secured.password), "{log}");
    }
}
