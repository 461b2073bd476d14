//! Requests by route: their number, the status codes of their answers, and their durations.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::http::StatusCode;

use crate::pipeline::durations::Durations;

/// The route of a request that no route matches.
pub(super) const NO_ROUTE: &str = "none";
/// The code of a request whose client went away before the answer, as nginx counts it.
const CLIENT_GONE: u16 = 499;

/// Counts of requests, shared by all connections.
#[derive(Debug, Clone, Default)]
pub struct Requests(Arc<RequestCounts>);

#[derive(Debug, Default)]
struct RequestCounts {
    in_flight: AtomicU64,
    routes: Mutex<BTreeMap<String, Arc<RouteRequests>>>,
}

/// The requests of one route.
#[derive(Debug, Default)]
pub(super) struct RouteRequests {
    /// From a request's head to the beginning of its answer.
    pub(super) durations: Durations,
    codes: Mutex<BTreeMap<u16, u64>>,
}

impl RouteRequests {
    /// How many requests were answered with each code.
    pub(super) fn codes(&self) -> BTreeMap<u16, u64> {
        self.codes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Requests {
    /// Counts a request of this route from now until the guard is finished or dropped.
    pub(super) fn begin(&self, route: &str) -> Counting {
        self.0.in_flight.fetch_add(1, Ordering::Relaxed);
        let mut routes = self.0.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let known = routes.get(route).map(Arc::clone);
        let route = known.unwrap_or_else(|| Arc::clone(routes.entry(route.to_owned()).or_default()));
        Counting { counts: Arc::clone(&self.0), route, began: Instant::now(), code: CLIENT_GONE }
    }

    /// How many requests are being answered.
    pub(super) fn in_flight(&self) -> u64 {
        self.0.in_flight.load(Ordering::Relaxed)
    }

    /// Each route that was asked so far.
    pub(super) fn routes(&self) -> BTreeMap<String, Arc<RouteRequests>> {
        self.0.routes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One request that is being answered. A request whose guard is dropped unfinished lost its client.
#[derive(Debug)]
pub(super) struct Counting {
    counts: Arc<RequestCounts>,
    route: Arc<RouteRequests>,
    began: Instant,
    code: u16,
}

impl Counting {
    /// The request is answered with this status.
    pub(super) fn finish(mut self, status: StatusCode) {
        self.code = status.as_u16();
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.counts.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.route.durations.note(self.began.elapsed());
        let mut codes = self.route.codes.lock().unwrap_or_else(PoisonError::into_inner);
        *codes.entry(self.code).or_default() += 1;
    }
}

/// How long the index took to answer, by kind of request. Waits for `consistent_with` are not in it.
#[derive(Debug, Default)]
pub(super) struct IndexRequests {
    /// Searches and suggestions.
    pub(super) search: Durations,
    /// Documents by their id.
    pub(super) document: Durations,
    /// Refreshes that a search waited for.
    pub(super) refresh: Durations,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_by_route_and_code_and_one_without_an_answer_as_abandoned() {
        let requests = Requests::default();
        requests.begin("/search").finish(StatusCode::OK);
        requests.begin("/search").finish(StatusCode::SERVICE_UNAVAILABLE);
        let abandoned = requests.begin("/search");
        assert_eq!(requests.in_flight(), 1);
        drop(abandoned);
        assert_eq!(requests.in_flight(), 0);
        let routes = requests.routes();
        assert_eq!(routes["/search"].codes(), BTreeMap::from([(200, 1), (499, 1), (503, 1)]));
        assert_eq!(routes["/search"].durations.count(), 3);
    }
}
