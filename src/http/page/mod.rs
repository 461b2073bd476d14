//! The page at `/`: one document with its style and script inside, and nothing from elsewhere.
//!
//! The content of records may be hostile, so that the page builds nodes from text only. The policy that is sent
//! along lets no script run but the page's own.

use std::sync::LazyLock;

use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use super::problem::problem;

const STYLE: &str = concat!(include_str!("page.css"), include_str!("parts.css"));
/// One module: the parts share a scope, and nothing of it is global.
const SCRIPT: &str = concat!(
    include_str!("base.js"),
    include_str!("builtin.js"),
    include_str!("words.js"),
    include_str!("model.js"),
    include_str!("values.js"),
    include_str!("search.js"),
    include_str!("hits.js"),
    include_str!("filters.js"),
    include_str!("suggestions.js"),
    include_str!("landing.js"),
    include_str!("entity.js"),
    include_str!("details.js"),
    include_str!("lists.js"),
    include_str!("status.js"),
    include_str!("page.js"),
    include_str!("start.js"),
);
const NONCE: &str = "{{nonce}}";

static DOCUMENT: LazyLock<String> =
    LazyLock::new(|| include_str!("index.html").replace("{{style}}", STYLE).replace("{{script}}", SCRIPT));

/// The page's document; `nonce` is the value by which [`policy`] allows its style and script.
pub fn html(nonce: &str) -> String {
    DOCUMENT.replace(NONCE, nonce)
}

/// The content security policy that goes with the page of this nonce.
pub fn policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// `GET /`
pub(super) async fn page() -> Response {
    let mut random = [0; 16];
    if let Err(error) = getrandom::fill(&mut random) {
        tracing::error!(%error, "no random bytes for the page's nonce");
        return problem(StatusCode::INTERNAL_SERVER_ERROR, "the system gives no random bytes");
    }
    let nonce: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy(&nonce)),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    (headers, Html(html(&nonce))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn style_and_script_carry_the_nonce_and_nothing_is_left_to_fill_in() {
        let html = html("0123abcd");
        assert_eq!(html.matches("nonce=\"0123abcd\"").count(), 2);
        assert!(!html.contains("{{"));
        assert_eq!(html.matches("</script").count(), 1);
        assert_eq!(html.matches("</style").count(), 1);
    }

    #[test]
    fn no_node_is_made_of_markup_and_nothing_comes_from_elsewhere() {
        let sinks = ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "srcdoc"];
        for sink in sinks {
            assert!(!SCRIPT.contains(sink), "{sink}");
        }
        let html = html("n").replace("http://www.w3.org/2000/svg", "");
        assert!(!html.contains("http://") && !html.contains("https://"));
        assert!(!html.contains(" style=") && !html.contains(" onclick="));
    }

    #[test]
    fn names_of_the_built_in_model_are_in_the_table_of_its_words_alone() {
        let table = include_str!("builtin.js");
        assert!(table.contains("organisations"));
        let page = html("n").replace(table, "").to_lowercase();
        for name in ["organisation", "contact", "hierarchy", "subsidiar"] {
            assert!(!page.contains(name), "{name}");
        }
    }

    #[tokio::test]
    async fn each_answer_has_a_nonce_of_its_own() {
        let policies = [page().await, page().await]
            .map(|answer| answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned());
        assert_ne!(policies[0], policies[1]);
        assert!(policies[0].contains("default-src 'none'"));
    }
}
