//! The choice of an order on the page.

use super::{assert_quiet, hits, opened};
use crate::browser::Browser;
use crate::harness::eventually;

#[test]
fn an_order_is_chosen_and_stays_with_the_search() {
    let (site, mut browser) = opened("");
    browser.wait_until(&hits(20));
    let choose = |browser: &mut Browser, order: &str| {
        browser.evaluate(&format!(
            "{{ const choice = document.querySelector('#sort'); choice.value = '{order}'; choice.dispatchEvent(new Event('change', {{ bubbles: true }})); }}"
        ));
    };
    assert_eq!(
        browser.evaluate("document.querySelector('#sort').selectedOptions[0].textContent"),
        "Best match"
    );
    assert!(!site.was_asked("sort="), "the best first is what is asked for anyway");
    choose(&mut browser, "-contactCount");
    eventually("the order is asked for", || site.was_asked("sort=-contactCount").then_some(()));
    assert_eq!(browser.evaluate("location.hash"), "#/?sort=-contactCount");
    // Contacts have no contacts: the best first.
    browser.click("input[value=contacts]");
    browser.wait_until("document.querySelector('#sort').value === ''");
    assert!(!site.was_asked("in=contacts&sort="));
    choose(&mut browser, "name");
    eventually("the order is asked for", || site.was_asked("in=contacts&sort=name").then_some(()));
    browser.evaluate("history.back()");
    browser.wait_until("document.querySelector('#sort').value === ''");
    browser.evaluate("history.back()");
    browser.wait_until("document.querySelector('#sort').value === '-contactCount'");
    // A single hit has no order.
    browser.type_text("/birch");
    browser.wait_until(&hits(1));
    browser.wait_until("document.querySelector('#order').hidden");
    assert_quiet(&mut browser);
}
