//! The page while its server is away, and when it comes back.

use super::site::Site;
use super::{hits, opened};
use crate::browser::Browser;

#[test]
fn an_absent_server_is_told_and_its_return_is_noticed() {
    let (site, mut browser) = opened("#/?q=acme");
    browser.wait_until(&hits(2));
    site.change(|world| world.is_gone = true);
    browser.wait_until("!document.querySelector('#away').hidden");
    assert_eq!(browser.evaluate("document.querySelectorAll('#hits > li').length"), 2);
    site.change(|world| {
        world.is_gone = false;
        world.add("o60", "Acme Newcomer", "active", None);
    });
    browser.wait_until(&hits(3));
    browser.wait_until("document.querySelector('#away').hidden");
}

#[test]
fn a_page_that_opens_before_the_server_answers_begins_when_it_does() {
    let site = Site::start();
    site.change(|world| world.has_no_model = true);
    let mut browser = Browser::start();
    browser.navigate(&format!("{}#/?q=acme", site.address));
    browser.wait_until("document.querySelector('#note').textContent.includes('not there yet')");
    assert!(!site.was_asked("/search"));
    assert_eq!(browser.evaluate("document.querySelector('#filters').checkVisibility()"), false);
    site.change(|world| world.has_no_model = false);
    browser.wait_until(&hits(2));
    assert_eq!(browser.evaluate("document.querySelector('#note').hidden"), true);
    browser.forget_errors();
}

#[test]
fn a_server_that_comes_back_with_another_model_gets_another_page() {
    let (site, mut browser) = opened("");
    browser.wait_until(&hits(20));
    site.change(|world| world.is_gone = true);
    browser.wait_until("!document.querySelector('#away').hidden");
    site.change(|world| {
        world.is_gone = false;
        world.searched = 1;
    });
    browser.wait_until(&format!("document.querySelector('#switch').hidden && {}", hits(20)));
    assert_eq!(browser.text("document.querySelector('#landing-title').textContent"), "Search organisations");
}
