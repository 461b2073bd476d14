//! Filters of several values, and the counts beside them.

use serde_json::json;

use crate::harness::GrowingLog;
use crate::search::{ask, engines, ids};
use crate::services;

#[test]
fn several_values_of_a_field_mean_any_and_its_counts_leave_its_own_filter_aside() {
    let (servers, _turn) = services::whole();
    let log = GrowingLog::new();
    let all =
        [("o1", "active", "GB"), ("o2", "dormant", "GB"), ("o3", "dormant", "FR"), ("o4", "closed", "FR")];
    for (id, status, country) in all {
        let fields = json!({"name": "Harbour", "status": status, "address": {"country": country}});
        log.append("organisations", id, &fields);
        let contact = json!({"name": "Ida", "organisationId": id, "role": status, "department": country});
        log.append("contacts", &format!("c-{id}"), &contact);
    }
    for (world, _running) in &engines("any", &servers, &log.settings()) {
        let facets_of = |query: &[(&str, &str)]| {
            let (code, answer) =
                ask(world, &[query, &[("facets", "status,country,role,department")]].concat());
            assert_eq!(code, 200, "{answer}");
            (ids(&answer), answer["facets"].clone())
        };
        let (found, facets) = facets_of(&[
            ("filter", "status:active"),
            ("filter", "status:dormant"),
            ("filter", "country:GB"),
            ("filter", ""),
        ]);
        assert_eq!(found, ["o1", "o2"]);
        assert_eq!(facets["status"], json!({"active": 1, "dormant": 1}));
        assert_eq!(facets["country"], json!({"GB": 2, "FR": 1}));
        assert_eq!(facets["role"], json!({"active": 1, "dormant": 1}));
        let (found, facets) = facets_of(&[
            ("q", "harbour"),
            ("filter", "role:dormant"),
            ("filter", "role:closed"),
            ("filter", "department:FR"),
        ]);
        assert_eq!(found, ["o3", "o4"]);
        assert_eq!(facets["role"], json!({"dormant": 1, "closed": 1}));
        assert_eq!(facets["department"], json!({"GB": 1, "FR": 2}));
        let of_contacts =
            [("in", "contacts"), ("filter", "role:active"), ("filter", "role:closed"), ("facets", "role")];
        let (code, answer) = ask(world, &of_contacts);
        assert_eq!((code, ids(&answer)), (200, vec!["c-o1".to_owned(), "c-o4".to_owned()]));
        assert_eq!(answer["facets"]["role"], json!({"active": 1, "dormant": 2, "closed": 1}));
    }
}
