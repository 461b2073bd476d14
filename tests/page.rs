//! The page in a real browser, against canned answers.

use serde_json::json;

use self::site::Site;
use crate::browser::{Accessible, Browser};
use crate::harness::eventually;

mod absence;
mod shop;
mod site;
mod sorting;

const HOSTILE: &str = "<img src=x onerror=\"document.title='run'\"> \u{202e}Acme</script>";

fn hits(number: usize) -> String {
    format!("document.querySelectorAll('#hits > li').length === {number}")
}

const FOCUS: &str = "document.activeElement.textContent";

fn opened(at: &str) -> (Site, Browser) {
    let site = Site::start();
    let mut browser = Browser::start();
    browser.navigate(&format!("{}{at}", site.address));
    browser.wait_until("document.querySelector('#gauges').children.length > 0");
    (site, browser)
}

fn assert_quiet(browser: &mut Browser) {
    assert_eq!(browser.console_errors(), Vec::<String>::new());
    assert_eq!(browser.policy_violations(), Vec::<String>::new());
}

#[test]
fn typing_shows_hits_with_marks_and_their_contacts() {
    let (site, mut browser) = opened("");
    browser.wait_until(&hits(20));
    browser.type_text("acme");
    browser.wait_until(&hits(2));
    assert_eq!(browser.evaluate("document.querySelector('#hits h3 mark').textContent"), "Acme");
    assert_eq!(browser.evaluate("document.querySelector('#hits .people .who').textContent"), "Jane 1");
    assert_eq!(browser.evaluate("document.querySelector('#hits .people mark').textContent"), "jane");
    assert_eq!(browser.evaluate("document.querySelector('#said').textContent"), "2\u{a0}organisations found");
    assert_eq!(browser.evaluate("location.hash"), "#/?q=acme");
    assert!(!site.was_asked("q=ac&"), "each letter was asked for");
    browser.click("#clear");
    browser.wait_until(&hits(20));
    assert_eq!(
        browser.evaluate("[document.activeElement.id, document.querySelector('#clear').hidden]"),
        json!(["q", true])
    );
    browser.click("#more");
    browser.wait_until(&hits(40));
    assert_eq!(browser.text(FOCUS), "Filler 20");
    browser.type_text("/nothing of the kind");
    browser.wait_until("document.querySelector('#note').textContent.includes('Nothing matches')");
    assert!(browser.text("document.querySelector('#note').textContent").contains("typos are OK"));
    browser.evaluate("document.querySelector('#q').value = 'wrong'");
    browser.type_text("!");
    browser.wait_until("document.querySelector('#note').textContent.includes('q: at most 32 words')");
    browser.forget_errors();
}

#[test]
fn a_filter_narrows_and_back_undoes_it() {
    let (site, mut browser) = opened("#/?q=acme");
    browser.wait_until(&hits(2));
    assert_eq!(browser.text("document.querySelector('#facets legend').textContent"), "Status");
    browser.click("#facets li[data-key=active] input");
    browser.wait_until(&hits(1));
    assert!(site.was_asked("filter=status%3Aactive"));
    assert_eq!(browser.evaluate("document.activeElement.type"), "checkbox");
    // The other statuses stay to be chosen, each with the number of hits that it would give.
    let counts = "[...document.querySelectorAll('#facets li')].map((one) => [one.dataset.key, one.querySelector('.number').textContent])";
    assert_eq!(browser.evaluate(counts), json!([["active", "1"], ["inactive", "1"]]));
    // Two statuses are either of them.
    browser.click("#facets li[data-key=inactive] input");
    browser.wait_until(&hits(2));
    assert!(site.was_asked("filter=status%3Aactive&filter=status%3Ainactive"));
    assert_eq!(browser.evaluate(counts), json!([["active", "1"], ["inactive", "1"]]));
    browser.evaluate("history.back()");
    browser.wait_until(&hits(1));
    browser.evaluate("history.back()");
    browser.wait_until(&hits(2));
    assert_eq!(browser.evaluate("document.querySelectorAll('#facets :checked').length"), 0);
    browser.evaluate("history.forward()");
    browser.wait_until(&hits(1));
    browser.click("#narrowed button");
    browser.wait_until(&hits(2));
    browser.click("input[value=contacts]");
    browser.wait_until("document.querySelector('#count').textContent === '2\\u00a0contacts'");
    assert!(site.was_asked("in=contacts&size=20&facets=role%2Cdepartment%2Ctag"));
    assert_quiet(&mut browser);
}

#[test]
fn the_keyboard_leads_to_an_organisation_and_up_to_its_parent() {
    let (_site, mut browser) = opened("");
    browser.press("Escape");
    browser.press("/");
    browser.type_text("acme");
    browser.wait_until(&hits(2));
    browser.press("ArrowDown");
    browser.press("ArrowDown");
    assert_eq!(browser.text(FOCUS), "Acme Ltd");
    browser.press("ArrowUp");
    assert_eq!(browser.text(FOCUS), "Acme Group");
    browser.press("ArrowDown");
    browser.press("Enter");
    browser.wait_until("document.querySelector('#entity h1')?.textContent === 'Acme Ltd'");
    browser
        .wait_until("document.activeElement.tagName === 'H1' && document.querySelector('.crumbs li + li')");
    assert_eq!(browser.text("document.title"), "Acme Ltd – Tributary");
    browser.press("Shift+Tab");
    assert_eq!(browser.text(FOCUS), "Acme Group");
    browser.press("Enter");
    browser.wait_until("document.querySelector('#entity h1')?.textContent === 'Acme Group'");
    browser.wait_until("document.querySelector('.children a')");
    assert_eq!(browser.evaluate("document.querySelectorAll('#entity .people > li').length"), 50);
    browser.click("[aria-label='Next contacts']");
    assert_eq!(browser.text(FOCUS), "Jane 50");
    browser.press("Escape");
    browser.wait_until("document.querySelector('#entity h1')?.textContent === 'Acme Ltd'");
    browser.wait_until("document.querySelector('[data-parent]')");
    browser.press("Alt+ArrowUp");
    browser.wait_until("document.querySelector('#entity h1')?.textContent === 'Acme Group'");
    browser.press("Escape");
    browser.wait_until("document.querySelector('#entity h1')?.textContent === 'Acme Ltd'");
    browser.press("Escape");
    browser.wait_until("!document.querySelector('#search').hidden");
    assert_eq!(browser.text(FOCUS), "Acme Ltd");
    assert_quiet(&mut browser);
}

#[test]
fn searching_within_an_organisation_is_shown_and_can_be_undone() {
    let (site, mut browser) = opened("#/organisations/o0");
    browser
        .wait_until("document.querySelector('.actions .button')?.textContent === 'Search within Acme Group'");
    let below = "document.querySelector('.below').textContent";
    assert!(
        browser.text(below).starts_with("Subsidiaries 1") && browser.text(below).contains("446 in total")
    );
    browser.click(".actions .button");
    browser.wait_until("document.querySelector('#narrowed')?.textContent.includes('Acme Group')");
    // The narrowed search is named at once; the search comes by another connection.
    eventually("the search below it", || site.was_asked("under=o0").then_some(()));
    browser.click("#narrowed button");
    browser.wait_until("document.querySelector('#narrowed').hidden && location.hash === '#/'");
    assert_quiet(&mut browser);
}

#[test]
fn a_change_arrives_without_typing_and_leaves_focus_and_scroll() {
    let (site, mut browser) = opened("");
    browser.wait_until(&hits(20));
    browser.evaluate("document.querySelectorAll('#hits h3 a')[15].focus(), scrollBy(0, 50)");
    // Its place in the window, because the hits above it may become higher.
    let place = "[Math.round(document.activeElement.getBoundingClientRect().top), document.activeElement.textContent]";
    let before = browser.evaluate(place);
    site.change(|world| {
        world.hits[4]["name"] = json!("Renamed just now");
        world.hits[15]["status"] = json!("closed");
    });
    browser.wait_until("document.querySelector('#hits').textContent.includes('Renamed just now')");
    browser.wait_until("document.querySelectorAll('#hits > li')[15].textContent.includes('closed')");
    assert_eq!(browser.evaluate(place), before);
    assert_eq!(browser.evaluate("document.querySelector('#reindex progress').value"), 5);
    browser.evaluate("location.hash = '#/organisations/o1'");
    browser.wait_until("document.querySelector('#entity .details')");
    site.change(|world| {
        world.documents.get_mut("/organisations/o1").unwrap()["name"] = json!("Acme Renamed Ltd");
    });
    browser.wait_until("document.querySelector('#entity h1').textContent === 'Acme Renamed Ltd'");
    assert_quiet(&mut browser);
}

#[test]
fn hostile_data_is_text() {
    let (site, mut browser) = opened("");
    site.change(|world| {
        world.hits.clear();
        world.add("x/../1", HOSTILE, "<b>x</b>", Some(("javascript:alert(1)", HOSTILE)));
        let escaped = "&lt;img src=x onerror=&quot;document.title=&#39;run&#39;&quot;&gt; \u{202e}<em>Acme</em>&lt;/script&gt;";
        world.hits[0]["highlights"] =
            json!({"name": [escaped], "email": ["<script>alert(1)</script><em><img src=x onerror=alert(1)></em>"]});
        world.hits[0]["industry"] = json!(format!("\"{}", "long".repeat(2_500)));
        world.hits[0]["matchedContacts"][0]["email"] = json!("x\" onclick=\"alert(1)@acme.example");
        let mut document = world.documents["/organisations/x/../1"].clone();
        document["website"] = json!("javascript:alert(1)");
        document["email"] = json!("javascript:alert(1)");
        let mut attributes = json!({"__proto__": {"hidden": HOSTILE}, "<b>": [HOSTILE]});
        attributes["far"] = serde_json::from_str("[1e+400, 12345678901234567890]").unwrap();
        document["attributes"] = attributes;
        document["contacts"] = json!([{"id": "<c>", "firstName": HOSTILE, "email": 7, "role": {"a": HOSTILE}}]);
        world.documents.insert("/organisations/x%2F..%2F1".to_owned(), document);
    });
    browser.wait_until(&hits(1));
    browser.wait_until("document.querySelector('#hits h3 mark')");
    assert_eq!(browser.text("document.querySelector('#hits h3').textContent"), HOSTILE);
    assert_eq!(browser.text("document.querySelector('#hits h3 mark').textContent"), "Acme");
    browser.click("#hits h3 a");
    browser.wait_until("document.querySelector('#entity .details')");
    assert_eq!(browser.text("document.querySelector('#entity h1').textContent"), HOSTILE);
    let shown = browser.text("document.querySelector('#entity .details').textContent");
    assert!(shown.contains("1e+400") && shown.contains("12345678901234567890"), "{shown}");
    assert_eq!(
        browser.evaluate(
            "document.querySelectorAll('img, script:not([nonce]), [onerror], [onclick], b, iframe').length"
        ),
        0
    );
    let outward =
        "[...document.links].filter((link) => !['http:', 'mailto:', 'tel:'].includes(link.protocol)).length";
    assert_eq!(browser.evaluate(outward), 0);
    assert!(!browser.text("document.title").contains('\u{202e}'));
    assert_quiet(&mut browser);
}

/// The roles of controls that a screen reader has no name for.
fn nameless(tree: &[Accessible]) -> Vec<String> {
    let controls = [
        "button",
        "link",
        "checkbox",
        "radio",
        "searchbox",
        "textbox",
        "combobox",
        "spinbutton",
        "Date",
        "progressbar",
        "progress",
    ];
    let is_nameless =
        |node: &&Accessible| controls.contains(&node.role.as_str()) && node.name.trim().is_empty();
    tree.iter().filter(is_nameless).map(|node| node.role.clone()).collect()
}

#[test]
fn every_control_has_a_name_and_the_page_its_landmarks() {
    let (_site, mut browser) = opened("#/?q=acme&filter=status:active");
    for at in ["#/?q=acme&filter=status:active", "#/organisations/o1", "#/organisations/none"] {
        browser.evaluate(&format!("location.hash = '{at}'"));
        browser.wait_until("!document.querySelector('#entity').hidden ? document.querySelector('#entity section, #entity .note') : document.querySelector('#hits > li')");
        let tree = browser.accessibility();
        assert_eq!(nameless(&tree), Vec::<String>::new(), "{at}");
        for role in ["banner", "main", "search", "complementary", "searchbox", "status", "heading"] {
            assert!(tree.iter().any(|node| node.role == role), "{at}: no {role}");
        }
        let levels =
            "[...document.querySelectorAll('h1')].filter((node) => node.getClientRects().length > 0).length";
        assert_eq!(browser.evaluate(levels), 1, "{at}");
    }
    let tree = browser.accessibility();
    assert!(tree.iter().any(|node| node.role == "searchbox" && node.name == "Search"));
}

#[test]
fn nothing_is_wider_than_a_small_phone() {
    let (site, mut browser) = opened("");
    site.change(|world| {
        let long = format!("{HOSTILE}{}", "W".repeat(10_000));
        world.add("o50", &long, &long, Some(("o0", &long)));
        world.hits.rotate_right(1);
        let document = world.documents.get_mut("/organisations/o50").unwrap();
        document["attributes"] = json!({long.clone(): long.clone()});
        document["tags"] = json!([long]);
    });
    for (width, mobile) in [(320, true), (360, true), (768, false), (1_100, false), (1_600, false)] {
        browser.set_viewport(width, 740, mobile);
        for at in ["#/", "#/organisations/o0", "#/organisations/o50"] {
            browser.evaluate(&format!("location.hash = '{at}'"));
            browser.wait_until("!document.querySelector('#entity').hidden ? document.querySelector('#entity section') : document.querySelector('#hits > li[data-key=\"organisations/o50\"]')");
            let widths = browser
                .evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]");
            assert!(widths[0].as_u64().unwrap() <= u64::from(width), "{at} at {width}: {widths}");
        }
    }
}

#[test]
fn no_view_is_wider_than_the_window() {
    let (_site, mut browser) = opened("");
    let views = [
        ("#/", "#landing:not([hidden]) #examples li + li + li"),
        ("#/?q=acme", "#suggestions:not([hidden]) li:nth-child(6)"),
        ("#/?q=acme&in=contacts", "#hits > li[data-key^=contacts]"),
        ("#/?q=acme&filter=status:active&under=o0", "#narrowed > button + button"),
        ("#/?q=none+of+these", "#note:not([hidden]) h3"),
        ("#/organisations/o1", "#entity .details"),
        ("#/contacts/o1-c1", "#entity .details"),
        ("#/organisations/none", "#entity .note"),
        ("#/nowhere", "#entity .note"),
    ];
    for (width, mobile) in [(360, true), (768, false), (1_000, false), (1_280, false)] {
        browser.set_viewport(width, 740, mobile);
        for (at, shown) in views {
            for open in [false, true] {
                browser.evaluate(&format!("location.hash = '{at}'"));
                browser.wait_until(&format!("document.querySelector('{shown}')"));
                browser.evaluate(&format!(
                    "document.querySelectorAll('#indexing details, #filters').forEach((one) => {{ one.open = {open}; }})"
                ));
                let wide = browser.evaluate(WIDE);
                assert_eq!(wide, json!([]), "{at} at {width}");
            }
        }
        browser.evaluate(
            "document.querySelectorAll('#indexing details').forEach((one) => { one.open = false; })",
        );
    }
    browser.forget_errors();
}

/// The widths and the elements that make the document scroll sideways: nothing, where it is no wider than the
/// window.
const WIDE: &str = r"(() => {
  const root = document.documentElement;
  if (root.scrollWidth <= root.clientWidth) return [];
  const all = [...document.querySelectorAll('body *')].filter((node) => node.getBoundingClientRect().right > root.clientWidth + 1);
  return [root.scrollWidth, root.clientWidth, ...all.slice(0, 5).map((node) => `${node.tagName} ${node.id} ${node.className}`)];
})()";

#[test]
fn a_hit_shows_three_contacts_and_the_others_on_demand() {
    let (_site, mut browser) = opened("#/?q=acme");
    browser.wait_until(&hits(2));
    let rows = "[...document.querySelectorAll('#hits > li:first-child .people > li')].filter((one) => !one.hidden).length";
    assert_eq!(browser.evaluate(rows), 3);
    assert_eq!(browser.text("document.querySelector('#hits .people + button').firstChild.data"), "+ 4 more");
    browser.click("#hits .people + button");
    assert_eq!(browser.evaluate(rows), 7);
    assert_eq!(browser.text(FOCUS), "Jane 4");
    assert_eq!(
        browser.evaluate("document.querySelectorAll('#hits .people + button').length"),
        1,
        "the other hit's"
    );
    // A part that begins a line has no dot: it lies at the edge, and the dot beyond it.
    for width in [360, 1_000] {
        browser.set_viewport(width, 740, false);
        assert_eq!(browser.evaluate(DANGLING), json!([]), "{width}");
    }
    assert_quiet(&mut browser);
}

/// Parts of a line that end it with a dot, or begin it with one that is seen.
const DANGLING: &str = r"(() => [...document.querySelectorAll('#hits .meta')].flatMap((line) => {
  const parts = [...line.children];
  const left = line.getBoundingClientRect().left;
  const place = (part) => part.getBoundingClientRect();
  const begins = parts.filter((part, at) => at === 0 || place(part).top > place(parts[at - 1]).top + 8);
  const isCut = getComputedStyle(line).overflowX === 'clip';
  const isTold = line.textContent.includes('·');
  return begins.filter((part) => isTold || !isCut || Math.abs(place(part).left - left) > 1).map((part) => part.textContent);
}))()";

#[test]
fn a_contacts_hit_tells_what_matched_in_words_and_not_in_field_names() {
    let (_site, mut browser) = opened("#/?q=acme&in=contacts");
    browser.wait_until(&hits(2));
    let text = browser.text("document.querySelector('#hits').textContent");
    assert!(!text.contains("organisation.name") && !text.contains("firstName"), "{text}");
    assert!(text.contains("Tags acme"), "{text}");
    assert_eq!(browser.text("document.querySelector('#hits .meta a mark').textContent"), "Acme");
}

#[test]
fn the_page_begins_with_what_can_be_searched_and_examples_from_the_data() {
    let (_site, mut browser) = opened("");
    browser.wait_until("document.querySelectorAll('#examples li').length === 3");
    let examples = "[...document.querySelectorAll('#examples a')].map((one) => one.textContent)";
    assert_eq!(browser.evaluate(examples), json!(["Jane 1 Acme", "jane@acme.example", "+44 113 496 0000"]));
    browser.click("#examples a");
    browser.wait_until(
        "document.querySelector('#q').value === 'Jane 1 Acme' && document.querySelector('#landing').hidden",
    );
    browser.evaluate("history.back()");
    browser.wait_until("!document.querySelector('#landing').hidden");
    assert_quiet(&mut browser);
}

#[test]
fn the_state_of_the_index_is_one_line_and_more_on_demand() {
    let (site, mut browser) = opened("");
    let mood = "document.querySelector('#mood').textContent";
    assert_eq!(browser.text(mood), "The index is up to date · rebuilding contacts");
    assert_eq!(browser.evaluate("document.querySelector('#gauges').checkVisibility()"), false);
    let height = browser.evaluate("document.querySelector('#indexing').offsetHeight").as_u64().unwrap();
    assert!(height < 40, "{height}");
    browser.click("#indexing summary");
    browser.wait_until("document.querySelector('#gauges').checkVisibility()");
    site.change(|world| world.lag = 5);
    browser.wait_until(&format!("{mood}.startsWith('The index is 5\u{a0}changes behind')"));
    assert_quiet(&mut browser);
}

#[test]
fn an_unknown_address_is_told() {
    let (_site, mut browser) = opened("#/nowhere/at/all");
    browser.wait_until("document.querySelector('#entity h1')?.textContent === 'There is no such page'");
    assert!(browser.text("document.querySelector('#entity').textContent").contains("#/nowhere/at/all"));
    browser.click("#entity .button");
    browser.wait_until(&hits(20));
    assert_quiet(&mut browser);
}

/// Texts whose colours differ less than WCAG 2.2 asks for (success criterion 1.4.3).
const FAINT: &str = r"(() => {
  const parse = (colour) => colour.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((part) => part / 255).map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0.99) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const node of document.querySelectorAll('body *')) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    if (!own || node.getClientRects().length === 0 || node.closest('.unseen, .skip, :disabled')) continue;
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(behind(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.push([node.tagName, node.className, node.textContent.slice(0, 30), ratio]);
  }
  return faint;
})()";

#[test]
fn texts_are_legible_in_light_and_dark() {
    let (_site, mut browser) = opened("#/?q=acme");
    browser.wait_until(&hits(2));
    let mut grounds = Vec::new();
    for dark in [false, true] {
        browser.set_dark(dark);
        grounds.push(browser.text("getComputedStyle(document.body).backgroundColor"));
        for at in
            ["#/?q=acme&filter=status:inactive", "#/organisations/o1", "#/organisations/none", "#/?q=acme"]
        {
            browser.evaluate(&format!("location.hash = '{at}'"));
            browser.wait_until("document.querySelector('#entity:not([hidden]) :is(section, .note), #search:not([hidden]) #hits > li')");
            // An element that is fading has no colour of its own yet.
            browser.evaluate("document.getAnimations().forEach((one) => one.finish())");
            assert_eq!(browser.evaluate(FAINT), json!([]), "{at}, dark: {dark}");
        }
    }
    assert_ne!(grounds[0], grounds[1]);
}

#[test]
fn the_driver_notices_scripts_errors_and_dialogs() {
    let (_site, mut browser) = opened("");
    assert_quiet(&mut browser);
    browser.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), { textContent: '1' }))",
    );
    browser
        .evaluate("setTimeout(() => { alert('dialog'); console.error('told'); throw new Error('thrown'); })");
    browser.evaluate("new Promise((done) => setTimeout(done, 300))");
    assert!(!browser.policy_violations().is_empty());
    let errors = browser.console_errors().join("\n");
    assert!(["a dialog", "told", "thrown"].iter().all(|part| errors.contains(part)), "{errors}");
}
