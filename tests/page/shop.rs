//! The page with a model of one's own, of the program itself: a shop on files, with an index in a folder.

use std::fs;
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::{FAINT, HOSTILE, WIDE, assert_quiet, hits, nameless};
use crate::browser::Browser;
use crate::harness::{Running, World, eventually};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/page/shop");
const SETTINGS: &str = "source.kind = \"files\"\nsource.path = \"events\"\nmodel = \"model.toml\"\n";

/// A running shop; its instance ends with it.
struct Shop {
    world: World,
    address: String,
    _running: Running,
}

impl Shop {
    /// The shop with further records of these topics.
    fn with(further: &[(&str, Value)]) -> Self {
        let folder = Path::new(FOLDER);
        Self::of(&fs::read_to_string(folder.join("model.toml")).unwrap(), &folder.join("events"), further)
    }

    fn of(model: &str, from: &Path, further: &[(&str, Value)]) -> Self {
        let world = World::embedded("page-shop", SETTINGS);
        let events = world.path("events");
        fs::create_dir(&events).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, events.join(path.file_name().unwrap())).unwrap();
        }
        for (topic, record) in further {
            let path = events.join(format!("{topic}.jsonl"));
            writeln!(fs::OpenOptions::new().create(true).append(true).open(path).unwrap(), "{record}")
                .unwrap();
        }
        fs::write(world.path("model.toml"), model).unwrap();
        let running = world.start(&["run"]);
        world.wait_until_delivered();
        let address = eventually("the instance's address", || {
            fs::read_to_string(world.path("state/instance")).ok().filter(|text| text.contains(':'))
        });
        Self { address: format!("http://{}/", address.trim()), world, _running: running }
    }

    fn open(&self, at: &str) -> Browser {
        let mut browser = Browser::start();
        browser.navigate(&format!("{}{at}", self.address));
        browser.wait_until("document.querySelector('#gauges').children.length > 0");
        browser
    }
}

/// The texts of all nodes of a selector.
fn texts(browser: &mut Browser, selector: &str) -> Value {
    browser.evaluate(&format!(
        "[...document.querySelectorAll({})].map((one) => one.textContent)",
        json!(selector)
    ))
}

fn choose(browser: &mut Browser, selector: &str, value: &str) {
    browser.evaluate(&format!(
        "{{ const field = document.querySelector({}); field.value = {}; field.dispatchEvent(new Event('change', {{ bubbles: true }})); }}",
        json!(selector), json!(value)
    ));
}

/// Whether a filter has this title.
fn legend(title: &str) -> String {
    format!("[...document.querySelectorAll('#facets legend')].some((one) => one.textContent === '{title}')")
}

/// Goes on where the address alone changes.
fn go(browser: &mut Browser, at: &str, heading: &str) {
    browser.evaluate(&format!("location.hash = '{at}'"));
    browser.wait_until(&format!("document.querySelector('#entity h1')?.textContent === '{heading}' && document.querySelector('#entity .details')"));
}

#[test]
fn the_collections_of_a_model_are_searched_by_their_names() {
    let shop = Shop::with(&[]);
    let mut browser = shop.open("");
    browser.wait_until(&hits(3));
    assert_eq!(texts(&mut browser, "#in option"), json!(["Products", "Brands", "Categories", "Reviews"]));
    assert_eq!(
        browser.text("document.querySelector('#landing-title').textContent"),
        "Search products, brands, categories and reviews"
    );
    assert_eq!(browser.text("document.querySelector('#q').placeholder"), "Name, city, tag, SKU …");
    browser.wait_until("document.querySelectorAll('#examples li').length === 3");
    assert_eq!(
        browser.text("document.querySelector('#examples li').textContent"),
        "Kettle Nordlicht a product and its brand"
    );
    let sorts = texts(&mut browser, "#sort option");
    for words in [
        "Name, A to Z",
        "Weight, highest first",
        "Launched, newest first",
        "Most reviews",
        "Lowest, lowest first",
    ] {
        assert!(sorts.as_array().unwrap().contains(&json!(words)), "{words}: {sorts}");
    }
    choose(&mut browser, "#sort", "-weight");
    browser.wait_until("document.querySelector('#hits h3').textContent === 'Toaster'");
    choose(&mut browser, "#in", "brands");
    browser.wait_until("document.querySelector('#count').textContent === '2\\u00a0brands'");
    assert_eq!(browser.text("location.hash"), "#/?in=brands");
    assert_eq!(texts(&mut browser, "#facets legend"), json!(["City"]));
    browser.click("#facets li[data-key=Oslo] input");
    browser.wait_until(&hits(1));
    assert_eq!(
        browser.text("document.querySelector('#hits .meta').textContent"),
        "Oslo, Norway 2\u{a0}products"
    );
    browser.type_text("/nothing of the kind");
    browser.wait_until("document.querySelector('#note').textContent.includes('Nothing matches')");
    assert!(browser.text("document.querySelector('#note').textContent").contains("Search products instead"));
    assert_quiet(&mut browser);
}

#[test]
fn ranges_of_numbers_and_days_narrow_a_search() {
    let shop = Shop::with(&[]);
    let mut browser = shop.open("");
    browser.wait_until(&hits(3));
    let legends = [
        "Status",
        "Brand",
        "Stock",
        "Weight",
        "Launched",
        "Discontinued",
        "Lowest",
        "Review’s stars",
        "Price’s currency",
        "Tag",
    ];
    assert_eq!(texts(&mut browser, "#facets legend"), json!(legends));
    assert_eq!(
        texts(&mut browser, "fieldset[data-key='products/discontinued'] .value"),
        json!(["No", "Yes"])
    );
    browser.click("[aria-label='Weight, from']");
    browser.type_text("2");
    browser.press("Tab");
    browser.wait_until(&hits(2));
    browser.type_text("3");
    browser.press("Enter");
    browser.wait_until(&hits(1));
    assert_eq!(browser.text("document.querySelector('#hits h3').textContent"), "Desk lamp");
    assert_eq!(browser.text("document.querySelector('#narrowed').textContent"), "Weight 2 – 3×");
    assert_eq!(browser.text("decodeURIComponent(location.hash)"), "#/?filter=weight:[2+TO+3]");
    browser.evaluate("history.back()");
    browser.wait_until(&hits(2));
    assert_eq!(browser.text("document.querySelector('#narrowed').textContent"), "Weight from 2×");
    browser.click("#narrowed button");
    browser.wait_until(&hits(3));
    assert_eq!(browser.text("document.querySelector(\"[aria-label='Weight, from']\").value"), "");
    choose(&mut browser, "[aria-label='Launched, to']", "2025-06-01");
    browser.wait_until(&hits(2));
    assert_eq!(browser.text("document.querySelector('#narrowed').textContent"), "Launched up to 2025-06-01×");
    browser.click("#facets li[data-key='true'] input");
    browser.wait_until(&hits(1));
    assert_eq!(browser.text("document.querySelector('#hits h3').textContent"), "Toaster");
    assert_quiet(&mut browser);
}

#[test]
fn hits_show_what_the_model_says_with_what_matched_in_it() {
    let shop = Shop::with(&[]);
    let mut browser = shop.open("#/?q=ida+nordlicht");
    browser.wait_until(&hits(1));
    let parts = [
        "active",
        "K-1",
        "kitchen, steel",
        "Weight 1.25",
        "Lowest 34.5",
        "Launched 15 Jan 2026",
        "2\u{a0}prices",
        "70\u{a0}reviews",
        "Nordlicht",
        "Small appliances",
    ];
    assert_eq!(texts(&mut browser, "#hits article > .meta .part"), json!(parts));
    assert_eq!(texts(&mut browser, "#hits article > .meta mark"), json!(["Nordlicht"]));
    let rows = "[...document.querySelectorAll('#hits .people > li')].filter((one) => !one.hidden).map((one) => one.innerText.split('\\n').join(' '))";
    assert_eq!(
        browser.evaluate(rows),
        json!([
            "Boils fast 1 Ida Bree Stars 2",
            "Boils fast 3 Ida Bree Stars 4",
            "Boils fast 5 Ida Bree Stars 1"
        ])
    );
    browser.click("#hits .people + button");
    assert_eq!(browser.evaluate("document.activeElement.hash"), "#/reviews/r07");
    let links = "[...document.querySelectorAll('#hits .meta a')].map((one) => one.hash)";
    assert_eq!(browser.evaluate(links), json!(["#/brands/b1", "#/categories/small"]));
    // From hit to hit: the matched review, its product, the product's brand, the brand's products.
    browser.click("#hits .people a");
    browser.wait_until("document.querySelector('#entity h1')?.textContent === 'Boils fast 1'");
    for (selector, heading) in [
        (".details a[href='#/products/p1']", "Kettle"),
        (".details a[href='#/brands/b1']", "Nordlicht"),
        (".people a[href='#/products/p3']", "Toaster"),
    ] {
        browser.click(&format!("#entity {selector}"));
        browser.wait_until(&format!("document.querySelector('#entity h1')?.textContent === '{heading}'"));
    }
    // A brand is found by a product that it embeds, and its title is not called "name".
    browser.evaluate("location.hash = '#/?in=brands&q=toaster'");
    browser.wait_until(&format!("!document.querySelector('#search').hidden && {}", hits(1)));
    browser.wait_until("document.querySelector('#hits h3').textContent === 'Nordlicht'");
    assert_eq!(
        browser.text("document.querySelector('#hits .people').innerText.replace(/\\s+/g, ' ')"),
        "Toaster T-3"
    );
    browser.evaluate("location.hash = '#/?in=brands&q=nordlicht'");
    browser.wait_until("document.querySelector('#hits h3 mark')?.textContent === 'Nordlicht'");
    assert_quiet(&mut browser);
}

#[test]
fn a_document_shows_its_fields_references_lists_and_what_its_siblings_add() {
    let shop = Shop::with(&[]);
    let mut browser = shop.open("#/products/p1");
    browser.wait_until("document.querySelector('#entity .details')");
    assert_eq!(browser.text("document.querySelector('.heading').textContent"), "ProductKettle");
    assert_eq!(texts(&mut browser, ".crumbs a"), json!(["Search", "Home", "Kitchen", "Small appliances"]));
    let rows = "[...document.querySelectorAll('.details > div')].map((one) => [one.firstChild.textContent, one.lastChild.textContent])";
    let expected = json!([
        ["Status", "active"],
        ["SKU", "K-1"],
        ["Discontinued", "No"],
        ["Weight", "1.25"],
        ["Stock", "12"],
        ["Lowest", "34.5"],
        ["Brand", "Nordlicht"],
        ["Category", "Home › Kitchen › Small appliances"],
        ["Website", "https://kettle.example/"],
        ["Tags", "kitchensteel"],
        ["Launched", browser.evaluate("document.querySelector('.details time').textContent")],
        ["Colour", "red"],
        ["Id", "p1"],
    ]);
    assert_eq!(browser.evaluate(rows), expected);
    assert_eq!(texts(&mut browser, "#entity section h2"), json!(["Details", "Prices 2", "Reviews 70"]));
    assert_eq!(
        texts(&mut browser, ".people[aria-label=Prices] .part"),
        json!(["EUR", "Amount 39.9", "Valid from 1 Jan 2026", "EUR", "Amount 34.5", "Valid from 1 Jun 2026"])
    );
    assert_eq!(
        browser.evaluate("document.querySelectorAll('.people[aria-label=Prices] a').length"),
        0,
        "no projection holds prices"
    );
    assert!(
        browser
            .text("document.querySelector('#entity').textContent")
            .contains("The first 60 of 70; the search finds the others.")
    );
    browser.click("[aria-label='Next reviews']");
    assert_eq!(browser.evaluate("document.activeElement.hash"), "#/reviews/r51");
    browser.press("Alt+ArrowUp");
    browser.wait_until("document.querySelector('#entity h1')?.textContent === 'Small appliances'");
    // The tree is another projection of the categories.
    go(&mut browser, "#/categories/home", "Home");
    assert_eq!(
        browser.text("document.querySelector('.below').innerText.replace(/\\s+/g, ' ')"),
        "Subcategories 2 3 in total, with their own subcategories. Kitchen Lighting"
    );
    browser.click(".actions .button");
    browser.wait_until(&format!(
        "document.querySelector('#narrowed').textContent === 'Within Home×' && {}",
        hits(3)
    ));
    choose(&mut browser, "#in", "brands");
    browser.wait_until(&format!("document.querySelector('#narrowed').hidden && {}", hits(2)));
    assert_quiet(&mut browser);
}

#[test]
fn many_values_of_a_number_take_a_range_beside_the_single_ones() {
    let product = |number: u32| json!({"key": format!("n{number}"), "value": {"name": format!("Bowl {number}"), "stock": 100 + number}});
    let further: Vec<_> = (1..=8).map(|number| ("products", product(number))).collect();
    let shop = Shop::with(&further);
    let mut browser = shop.open("#/?q=bowl");
    browser.wait_until(&hits(8));
    browser.click("[aria-label='Stock, from']");
    browser.type_text("103");
    browser.press("Tab");
    browser.wait_until(&hits(6));
    browser.type_text("104");
    browser.press("Tab");
    browser.wait_until(&hits(2));
    assert_eq!(browser.text("document.querySelector('#narrowed').textContent"), "Stock 103 – 104×");
    // A value beside the range is either of them.
    browser.click("#facets li[data-key='101'] input");
    browser.wait_until(&hits(3));
    browser.click("#narrowed button");
    browser.wait_until(&hits(1));
    assert_eq!(browser.text("document.querySelector(\"[aria-label='Stock, from']\").value"), "");
    assert_quiet(&mut browser);
}

#[test]
fn a_suggestion_tells_a_hit_from_others_by_a_name_and_not_by_an_id() {
    let shop = Shop::with(&[]);
    let mut browser = shop.open("");
    browser.wait_until(&hits(3));
    browser.type_text("kett");
    browser.wait_until("document.querySelector('#suggestions li')");
    assert_eq!(texts(&mut browser, "#suggestions li"), json!(["Kettle Nordlicht, product"]));
    assert_quiet(&mut browser);
}

#[test]
fn the_helpdesk_of_the_examples_is_told_in_words_that_are_legible() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/helpdesk");
    let model = fs::read_to_string(folder.join("model.toml")).unwrap();
    let shop = Shop::of(&model, &folder.join("events"), &[]);
    let first = |of: &str| -> String {
        let page: Value =
            serde_json::from_str(&shop.world.get(&format!("/search?in={of}&size=1")).1).unwrap();
        page["hits"][0]["id"].as_str().unwrap().to_owned()
    };
    let views = [
        "#/".to_owned(),
        "#/?in=people".to_owned(),
        format!("#/tickets/{}", first("tickets")),
        format!("#/people/{}", first("people")),
    ];
    let mut browser = shop.open("");
    for dark in [false, true] {
        browser.set_dark(dark);
        for at in &views {
            browser.evaluate(&format!("location.hash = '{at}'"));
            browser.wait_until(
                "document.querySelector('#entity:not([hidden]) .details, #search:not([hidden]) #hits > li')",
            );
            browser.evaluate("document.getAnimations().forEach((one) => one.finish())");
            assert_eq!(browser.evaluate(FAINT), json!([]), "{at}, dark: {dark}");
            let tree = browser.accessibility();
            assert_eq!(nameless(&tree), Vec::<String>::new(), "{at}");
        }
    }
    assert_eq!(browser.text("document.querySelector('.kind').textContent"), "Person");
    browser.evaluate("location.hash = '#/'");
    browser.wait_until("document.querySelector('#examples li')?.textContent.includes('a person')");
    for label in ["Opened", "Comment’s author"] {
        browser.wait_until(&legend(label));
    }
    browser.evaluate("location.hash = '#/?in=people'");
    browser.wait_until(&legend("Requested: status"));
    assert_quiet(&mut browser);
}

#[test]
fn hostile_data_of_any_model_is_text_and_no_view_is_wider_than_the_window() {
    let long = format!("{HOSTILE}{}", "W".repeat(3_000));
    let shop = Shop::with(&[
        (
            "brands",
            json!({"key": "b/1", "value": {"label": long, "address": {"city": long, "country": "<b>"}}}),
        ),
        (
            "products",
            json!({"key": "p/1", "value": {"name": long, "sku": long, "status": long, "brandId": "b/1", "categoryId": "javascript:alert(1)",
            "website": "javascript:alert(1)", "tags": [long, HOSTILE], "weight": 1e300, "<b>": {"a": long}}}),
        ),
        (
            "reviews",
            json!({"key": "javascript:x", "value": {"title": long, "author": long, "productId": "p/1"}}),
        ),
        ("prices", json!({"key": "<i>", "value": {"currency": long, "productId": "p/1", "amount": 5}})),
    ]);
    let mut browser = shop.open("");
    let views = [
        ("#/", "#hits li[data-key='products/p/1'] .meta"),
        ("#/?q=img", "#hits .people .who"),
        ("#/?in=brands&q=img", "#hits h3 mark"),
        ("#/?filter=weight:[1e299+TO+*]", "#hits > li"),
        ("#/products/p%2F1", "#entity .people"),
        ("#/brands/b%2F1", "#entity .people"),
        ("#/reviews/javascript%3Ax", "#entity .details a"),
        ("#/categories/home", "#entity .below a"),
    ];
    for (width, mobile) in [(360, true), (768, false), (1_000, false), (1_280, false)] {
        browser.set_viewport(width, 740, mobile);
        for (at, shown) in views {
            browser.evaluate(&format!("location.hash = '{at}'"));
            browser.wait_until(&format!("document.querySelector(\"{shown}\")?.checkVisibility()"));
            browser.evaluate("document.querySelector('#filters').open = true");
            assert_eq!(browser.evaluate(WIDE), json!([]), "{at} at {width}");
            let nodes =
                "document.querySelectorAll('img, script:not([nonce]), [onerror], b, i, iframe').length";
            assert_eq!(browser.evaluate(nodes), 0, "{at}");
            let outward = "[...document.links].filter((link) => !['http:', 'https:', 'mailto:', 'tel:'].includes(link.protocol)).length";
            assert_eq!(browser.evaluate(outward), 0, "{at}");
        }
    }
    assert_quiet(&mut browser);
}

#[test]
fn a_model_that_says_of_no_search_shows_its_documents() {
    let model = "[entities.brands]\nformat = \"plain\"\n[entities.brands.fields]\nlabel = \"string\"\n[projections.brands]\nof = \"brands\"\n";
    let shop = Shop::of(model, &Path::new(FOLDER).join("events"), &[]);
    let mut browser = shop.open("");
    browser.wait_until("document.querySelector('#note').textContent.includes('Nothing is searched')");
    assert_eq!(browser.evaluate("document.querySelector('#form').checkVisibility()"), false);
    assert!(browser.text("document.querySelector('#note').textContent").contains("#/brands/ID"));
    go(&mut browser, "#/brands/b1", "Nordlicht");
    assert_eq!(shop.world.get("/search").0, 400);
    assert_quiet(&mut browser);
}

#[test]
fn long_names_of_a_model_widen_no_view() {
    let names =
        ["maintenanceagreementsofcustomers", "certificatesofconformityinforce", "correspondence_with_them"];
    let field = "whatTheInspectorWroteOnTheDayOfHisVisitToThePlantAndLaterOnTheWayHome";
    let mut model = String::new();
    for name in names {
        model += &format!(
            "[entities.{name}]\ntopics = [\"{name}\"]\nformat = \"plain\"\n[entities.{name}.fields]\n{field} = \"string\"\n\
             {field}Number = \"number\"\n{field}Day = \"date\"\nownerId = {{ references = \"{name}\" }}\n\
             [projections.{name}]\nof = \"{name}\"\nembed = [{{ as = \"{field}Owner\", reference = \"ownerId\", show = [\"{field}\"] }}, \
             {{ as = \"{field}Members\", from = \"{name}.ownerId\", show = [\"{field}\", \"{field}Number\"], count = \"{field}Count\" }}]\n\
             [projections.{name}.search]\ntitle = \"{field}\"\nwords = [\"{field}\"]\n\
             filters = {{ {field} = \"{field}\", {field}Number = \"{field}Number\", {field}Day = \"{field}Day\" }}\n"
        );
    }
    let values = json!({field: "Seen", format!("{field}Number"): 5, format!("{field}Day"): "2026-01-01", "ownerId": "o"});
    let record = json!({"key": "o", "value": values});
    let events = names.map(|name| (name, record.clone()));
    let shop = Shop::of(&model, &Path::new(FOLDER).join("events"), &events);
    let mut browser = shop.open("");
    let details = format!("#/{}/o", names[0]);
    for (width, mobile) in [(360, true), (768, false), (1_000, false), (1_280, false)] {
        browser.set_viewport(width, 740, mobile);
        for (at, shown) in [("#/", "#hits > li"), (&details, "#entity .people")] {
            browser.evaluate(&format!("location.hash = '{at}'"));
            browser.wait_until(&format!("document.querySelector(\"{shown}\")?.checkVisibility()"));
            browser.evaluate("document.querySelector('#filters').open = true");
            assert_eq!(browser.evaluate(WIDE), json!([]), "{at} at {width}");
        }
    }
    assert_quiet(&mut browser);
}
