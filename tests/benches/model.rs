//! A first fill by the model of a shop, with four entity types: `cargo bench --bench model`.
//!
//! Sizes by the environment: `BENCH_PRODUCTS` (50 000, each with four prices), `BENCH_BRANDS` (1 000) and
//! `BENCH_CATEGORIES` (500, a tree). The events lie in files, and the real Elasticsearch is brought up by
//! `scripts/services`. All figures are of one run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

#[allow(dead_code)]
#[path = "../harness.rs"]
mod harness;
#[allow(dead_code)]
#[path = "../services.rs"]
mod services;

use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use harness::World;

/// So many prices each product has.
const PRICES: u32 = 4;

fn size(name: &str, default: u32) -> u32 {
    std::env::var(format!("BENCH_{name}")).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Writes one record for each number below `count`.
fn write(folder: &Path, topic: &str, count: u32, record: &mut dyn FnMut(u32) -> (String, Value)) {
    let file = std::fs::File::create(folder.join(format!("{topic}.jsonl"))).unwrap();
    let mut file = BufWriter::new(file);
    for number in 0..count {
        let (key, value) = record(number);
        writeln!(file, "{}", json!({"key": key, "value": value})).unwrap();
    }
    file.flush().unwrap();
}

/// Writes the events of a shop, and answers how many there are.
fn write_shop(folder: &Path) -> u32 {
    let (products, brands, categories) =
        (size("PRODUCTS", 50_000), size("BRANDS", 1_000), size("CATEGORIES", 500));
    let mut random = fastrand::Rng::with_seed(7);
    let countries = ["DE", "NO", "GB"];
    write(folder, "brands", brands, &mut |n| {
        let country = countries[n as usize % countries.len()];
        (format!("b{n}"), json!({"name": format!("Brand {n}"), "country": country}))
    });
    write(folder, "categories", categories, &mut |n| {
        let parent = (n > 0).then(|| format!("k{}", (n - 1) / 5));
        (format!("k{n}"), json!({"name": format!("Category {n}"), "parentId": parent}))
    });
    write(folder, "prices", products * PRICES, &mut |n| {
        let (product, month) = (n / PRICES, n % PRICES + 1);
        let amount = f64::from(random.u32(100..20_000)) / 100.0;
        let valid = format!("2026-{month:02}-01T00:00:00Z");
        let price = json!({"productId": format!("p{product}"), "amount": amount, "currency": "EUR", "validFrom": valid});
        (format!("x{n}"), price)
    });
    write(folder, "products", products, &mut |n| {
        let (brand, category) = (random.u32(..brands), random.u32(..categories));
        let product = json!({
            "name": format!("Product {n} of kind {}", n % 97), "sku": format!("S-{n:06}"), "brandId": format!("b{brand}"),
            "categoryId": format!("k{category}"), "tags": [format!("tag{}", n % 20)],
        });
        (format!("p{n}"), product)
    });
    products * (1 + PRICES) + brands + categories
}

/// The most memory that a process had so far, in MiB.
fn peak(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes >> 10)
}

fn main() {
    let (servers, _turn) = services::whole();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/shop/model.toml");
    let folder = tempfile::tempdir().unwrap();
    let events = write_shop(folder.path());
    println!(
        "| engine | events | documents | seconds | events/s | documents/s | peak MiB |\n|---|---|---|---|---|---|---|"
    );
    for engine in ["Elasticsearch", "embedded"] {
        let extra =
            format!("model = {model:?}\nsource.kind = \"files\"\nsource.path = {:?}\n", folder.path());
        let world = if engine == "embedded" {
            World::embedded("shop", &extra)
        } else {
            World::new(&servers, "shop", &extra)
        };
        let began = Instant::now();
        let mut running = world.start(&["run", "--until-end"]);
        let mut memory = 0;
        let status = loop {
            memory = memory.max(peak(running.0.id()).unwrap_or(0));
            if let Some(status) = running.0.try_wait().unwrap() {
                break status;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let seconds = began.elapsed().as_secs_f64();
        assert!(status.success(), "the run ended with {status}");
        let documents = ["products", "brands", "categories"].map(|name| world.documents(name).len());
        let documents: usize = documents.iter().sum();
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let per_second = documents as f64 / seconds;
        println!(
            "| {engine} | {events} | {documents} | {seconds:.1} | {:.0} | {per_second:.0} | {memory} |",
            f64::from(events) / seconds
        );
    }
}
