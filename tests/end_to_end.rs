//! The page in a real browser on the real program: typing, filtering, walking, and a live change.

use serde_json::json;

use crate::browser::Browser;
use crate::harness::{GrowingLog, World};

/// A small log of two services, as a user's.
fn marlowe() -> GrowingLog {
    let log = GrowingLog::new();
    log.append(
        "organisations",
        "g",
        &json!({"name": "Marlowe Group", "status": "active", "industry": "Shipping"}),
    );
    log.append("organisations", "m", &json!({"name": "Marlowe Ropes", "status": "active", "parentId": "g"}));
    log.append("organisations", "s", &json!({"name": "Marlowe Sails", "status": "dormant", "parentId": "g"}));
    log.append(
        "organisations",
        "x",
        &json!({"name": "<b onclick=alert(1)>Bold</b> & Sons", "status": "active"}),
    );
    log.append(
        "contacts",
        "c1",
        &json!({"organisationId": "m", "name": "Ottilie Quist", "phone": "+44 20 7946 0018"}),
    );
    log.append(
        "contacts",
        "c2",
        &json!({"organisationId": "s", "name": "Ottilie Brandt", "email": "o.brandt@sails.test"}),
    );
    log
}

#[test]
fn a_person_types_filters_walks_to_the_parent_and_sees_a_live_change() {
    let log = marlowe();
    let world = World::embedded("browser", &log.settings());
    let _running = world.start(&["run"]);
    world.wait_until_delivered();
    let address = std::fs::read_to_string(world.path("state/instance")).unwrap();

    let mut browser = Browser::start();
    browser.navigate(&format!("http://{}/", address.trim()));
    browser.wait_until("document.querySelectorAll('#hits > li').length === 4");
    assert!(
        browser.text("document.querySelector('#hits').textContent").contains("<b onclick=alert(1)>Bold</b>")
    );
    browser.evaluate("document.querySelector('#q').focus()");
    browser.type_text("marlowe otti");
    browser.wait_until("document.querySelectorAll('#hits > li').length === 2");
    let shown = browser.text("document.querySelector('#hits').innerText");
    assert!(shown.contains("Ottilie Quist") && shown.contains("Ottilie Brandt"), "{shown}");
    assert!(browser.evaluate("document.querySelectorAll('#hits mark').length >= 4").as_bool().unwrap());

    // The filter with its count, by its label.
    browser.evaluate(
        "[...document.querySelectorAll('#facets label, #facets button')].find(e => e.textContent.includes('dormant')).click()",
    );
    browser.wait_until("document.querySelectorAll('#hits > li').length === 1 && document.querySelector('#hits').innerText.includes('Sails')");
    browser.click("#hits h3 a");
    browser.wait_until("document.querySelector('#entity h1')?.textContent === 'Marlowe Sails'");
    browser.evaluate(
        "[...document.querySelectorAll('#entity a')].find(a => a.textContent === 'Marlowe Group').click()",
    );
    browser.wait_until("document.querySelector('#entity h1')?.textContent === 'Marlowe Group'");
    browser.wait_until("document.querySelector('#entity').innerText.includes('Marlowe Ropes')");

    log.append("organisations", "g", &json!({"name": "Marlowe Holding", "status": "active"}));
    browser.wait_until("document.querySelector('#entity h1')?.textContent === 'Marlowe Holding'");
    assert_eq!(browser.console_errors(), Vec::<String>::new());
    assert_eq!(browser.policy_violations(), Vec::<String>::new());
}
