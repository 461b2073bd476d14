//! Every route, once: the router is made from this table, and the description is compared with it.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{DefaultBodyLimit, FromRef, MatchedPath, Request, State as Shared};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};

use super::admin::{self, Admin};
use super::cors::{self, Origins};
use super::descriptions::{self, Descriptions};
use super::explain;
use super::origin::Hosts;
use super::page;
use super::problem::problem;
use super::readiness;
use super::requests::{NO_ROUTE, Requests};
use super::search::{self, SearchSite};
use super::server;
use super::suggest;
use super::trees;
use super::verify::{self, VerifySite};
use crate::shutdown::Shutdown;

const BODY_BYTES_MAX: usize = 1 << 20;
/// A request's body is there within this time.
const BODY_TIME: Duration = Duration::from_secs(30);
/// No request takes longer.
const REQUEST_TIME: Duration = Duration::from_secs(310);

/// The parts that the routes share.
#[derive(Clone)]
pub struct Site {
    /// The instance.
    pub admin: Admin,
    /// Its indexes.
    pub search: SearchSite,
    /// Its descriptions of the model and of these routes.
    pub descriptions: Descriptions,
    /// The comparison of the two.
    pub verify: VerifySite,
    /// The names that requests may be for.
    pub hosts: Hosts,
    /// The origins whose scripts may read searches and documents.
    pub origins: Origins,
    /// Counts of requests.
    pub requests: Requests,
}

impl FromRef<Site> for Requests {
    fn from_ref(site: &Site) -> Self {
        site.requests.clone()
    }
}

impl FromRef<Site> for Admin {
    fn from_ref(site: &Site) -> Self {
        site.admin.clone()
    }
}

impl FromRef<Site> for SearchSite {
    fn from_ref(site: &Site) -> Self {
        site.search.clone()
    }
}

impl FromRef<Site> for Descriptions {
    fn from_ref(site: &Site) -> Self {
        site.descriptions.clone()
    }
}

impl FromRef<Site> for VerifySite {
    fn from_ref(site: &Site) -> Self {
        site.verify.clone()
    }
}

/// Each path with its handlers.
fn routes() -> Vec<(&'static str, MethodRouter<Site>)> {
    vec![
        ("/", get(page::page)),
        ("/search", get(search::search)),
        ("/suggest", get(suggest::suggest)),
        ("/{projection}/{id}", get(search::document)),
        ("/{projection}/{id}/children", get(trees::children)),
        ("/{projection}/{id}/ancestors", get(trees::ancestors)),
        ("/healthz", get(|| async { "ok\n" })),
        ("/readyz", get(readiness::ready)),
        ("/status", get(admin::status)),
        ("/metrics", get(admin::metrics_text)),
        ("/model", get(descriptions::model)),
        ("/openapi.json", get(descriptions::openapi)),
        ("/admin/dead-letters/retry", post(admin::retry)),
        ("/admin/dead-letters/discard", post(admin::discard)),
        ("/admin/state/copy", post(admin::copy)),
        ("/admin/state/link", post(admin::link)),
        ("/admin/explain", post(explain::explain)),
        ("/admin/verify", post(verify::verify)),
    ]
}

/// Serves until a stop is asked for; requests in flight are answered first.
pub async fn serve(listener: tokio::net::TcpListener, site: Site, stop: Shutdown) {
    let router = routes().into_iter().fold(Router::new(), |router, (path, route)| router.route(path, route));
    let router = router
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "there is no such route; see /openapi.json") })
        .method_not_allowed_fallback(|| async {
            problem(StatusCode::METHOD_NOT_ALLOWED, "not by this method; see /openapi.json")
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(site.origins.clone(), cors::share))
        .layer(from_fn_with_state(site.clone(), guard))
        .with_state(site);
    server::serve(listener, router, stop).await;
}

/// Answers a request that is for this instance and is there whole in time.
async fn admit(hosts: &Hosts, request: Request, next: Next) -> Response {
    if let Some(host) = hosts.find_foreign(request.uri(), request.headers()) {
        let detail =
            format!("{host:?} is no name of this instance; add it to http.hosts, or ask by the address");
        return problem(StatusCode::MISDIRECTED_REQUEST, &detail);
    }
    let (head, body) = request.into_parts();
    let body = match tokio::time::timeout(BODY_TIME, to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(body)) => Body::from(body),
        Ok(Err(error)) => {
            return problem(StatusCode::PAYLOAD_TOO_LARGE, &format!("the body cannot be read: {error}"));
        }
        Err(_) => return problem(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"),
    };
    let answered = tokio::time::timeout(REQUEST_TIME, next.run(Request::from_parts(head, body))).await;
    answered.unwrap_or_else(|_| problem(StatusCode::REQUEST_TIMEOUT, "the request did not end in time"))
}

/// Headers for every answer, and its count.
async fn guard(Shared(site): Shared<Site>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let counting = site.requests.begin(route.map_or(NO_ROUTE, MatchedPath::as_str));
    let mut response = admit(&site.hosts, request, next).await;
    counting.finish(response.status());
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::http::openapi::OPENAPI;
    use crate::search::parameters::PARAMETERS;

    #[test]
    fn the_description_names_exactly_these_routes_and_parameters() {
        let openapi: Value = serde_json::from_str(OPENAPI).unwrap();
        let described: BTreeSet<&str> =
            openapi["paths"].as_object().unwrap().keys().map(String::as_str).collect();
        let served: BTreeSet<&str> = routes().iter().map(|(path, _)| *path).collect();
        assert_eq!(described, served);
        let parameters = openapi["paths"]["/search"]["get"]["parameters"].as_array().unwrap();
        let parameters: BTreeSet<&str> =
            parameters.iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
        assert_eq!(parameters, PARAMETERS.iter().copied().collect());
    }
}
