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

#[test]
fn the_count_of_a_contacts_value_is_what_its_filter_gives() {
    let (servers, _turn) = services::whole();
    let log = GrowingLog::new();
    let contacts = [
        ("o1", "Buyer", "North"),
        ("o1", "Pilot", "South"),
        ("o2", "Pilot", "North"),
        ("o3", "Clerk", "East"),
        ("o3", "Clerk", "East"),
        // It is not embedded.
        ("o3", "Buyer", "North"),
        ("o4", "Clerk", "North"),
        ("o4", "Clerk", "North"),
    ];
    for id in ["o1", "o2", "o3", "o4"] {
        log.append("organisations", id, &json!({"name": "Harbour"}));
    }
    for (number, (organisation, role, department)) in contacts.iter().enumerate() {
        let contact = json!({"organisationId": organisation, "role": role, "department": department});
        log.append("contacts", &format!("c{number}"), &contact);
    }
    let settings = log.settings() + "index.max_embedded_contacts = 2\n";
    for (world, _running) in &engines("counts", &servers, &settings) {
        let answer = |filters: &[String]| {
            let mut query = vec![("facets", "role,department")];
            query.extend(filters.iter().map(|filter| ("filter", filter.as_str())));
            let (code, answer) = ask(world, &query);
            assert_eq!(code, 200, "{answer}");
            answer
        };
        let north = "department:North".to_owned();
        let facets = answer(std::slice::from_ref(&north))["facets"].clone();
        assert_eq!(facets["role"], json!({"Buyer": 2, "Pilot": 1, "Clerk": 1}), "{}", world.prefix);
        assert_eq!(facets["department"], json!({"North": 4, "South": 1, "East": 1}));
        let facets = answer(&[north.clone(), "role:Pilot".to_owned()])["facets"].clone();
        assert_eq!(facets["role"], json!({"Buyer": 2, "Pilot": 1, "Clerk": 1}));
        assert_eq!(facets["department"], json!({"North": 1, "South": 1}));
        for (role, count) in facets["role"].as_object().unwrap() {
            let found = answer(&[north.clone(), format!("role:{role}")]);
            assert_eq!(found["total"], *count, "{role} {}", world.prefix);
        }
    }
}
