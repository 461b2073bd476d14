//! The examples of the help and of the manual.

/// Examples of each subcommand, by its path.
pub(super) const EXAMPLES: &[(&str, &[&str])] = &[
    ("", &["tributary demo", "tributary run --brokers localhost:9092 --index-url http://localhost:9200"]),
    (
        "demo",
        &[
            "tributary demo",
            "tributary demo --once --organisations 100 --contacts 1000 --q acme",
            "tributary demo --model examples/shop/model.toml",
        ],
    ),
    (
        "run",
        &[
            "tributary run --config tributary.toml",
            "tributary run --until-end --fail-on-dead-letters --source files --source-path events",
        ],
    ),
    ("reindex", &["tributary reindex --dry-run", "tributary reindex contacts --from state"]),
    ("search", &["tributary search acme jane --filter status:active --facets country,role"]),
    ("status", &["tributary status", "tributary status --verbose", "tributary status --format json"]),
    ("explain", &["tributary explain contacts c17"]),
    ("verify", &["tributary verify contacts --sample 1000", "tributary verify --repair"]),
    ("dead-letters", &["tributary dead-letters list", "tributary dead-letters retry"]),
    ("dead-letters list", &["tributary dead-letters list --format json"]),
    ("dead-letters show", &["tributary dead-letters show contacts/0:17"]),
    ("dead-letters retry", &["tributary dead-letters retry", "tributary dead-letters retry contacts/0:17"]),
    (
        "dead-letters discard",
        &["tributary dead-letters discard contacts/0:17", "tributary dead-letters discard --all"],
    ),
    (
        "generate",
        &[
            "tributary generate --out events --seed 7",
            "tributary generate --kafka --brokers localhost:9092 --rate 100",
        ],
    ),
    ("check", &["tributary check --offline", "tributary check --config tributary.toml"]),
    ("doctor", &["tributary doctor", "tributary doctor --format json"]),
    ("model", &["tributary model check model.toml", "tributary model show"]),
    ("model show", &["tributary model show > model.toml"]),
    ("model check", &["tributary model check", "tributary model check model.toml"]),
    (
        "model init",
        &[
            "tributary model init --from events/products.jsonl > model.toml",
            "tributary model init --from events",
        ],
    ),
    ("model mapping", &["tributary model mapping organisations > mappings/organisations.json"]),
    ("completions", &["tributary completions bash > /etc/bash_completion.d/tributary"]),
    ("man", &["tributary man | man -l -", "tributary man reindex", "tributary man --out man1"]),
];
