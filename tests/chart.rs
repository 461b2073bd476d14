//! The Helm chart, as `scripts/chart render` rendered it and checked it against the schemas of Kubernetes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::files::root;

/// The manifests of a set of values.
fn rendered(name: &str) -> Vec<Value> {
    let text = fs::read_to_string(root().join("tests/chart").join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn of_kind<'a>(manifests: &'a [Value], kind: &str) -> Vec<&'a Value> {
    manifests.iter().filter(|manifest| manifest["kind"] == kind).collect()
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tributary"))
}

/// That every label of the selector is one of the labels.
fn selects(selector: &Value, labels: &Value) -> bool {
    selector.as_object().unwrap().iter().all(|(name, value)| labels[name] == *value)
}

#[test]
fn what_is_tested_here_is_what_the_chart_renders() {
    let hash =
        "find deploy/helm -type f -o -type l | LC_ALL=C sort | xargs -r cat | sha256sum | cut -d' ' -f1";
    let hash = Command::new("sh").args(["-ec", hash]).current_dir(root()).output().unwrap().stdout;
    let held = fs::read(root().join("tests/chart/chart.sha256")).unwrap();
    assert!(hash == held, "the chart, an alert or the dashboard changed: call scripts/chart render");
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| Path::new(&std::env::var_os("HOME").unwrap()).join(".cache"));
    let cache = cache.join("tributary-services");
    let has_tools =
        ["helm-3.18.6", "kubernetes-validate-1.34.1"].iter().all(|tool| cache.join(tool).is_dir());
    if !has_tools {
        return eprintln!("Helm is not in {}: the chart is not rendered again", cache.display());
    }
    let output = Command::new(root().join("scripts/chart")).arg("check").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_configuration_of_a_pod_is_taken_and_its_arguments_are_known() {
    let manifests = rendered("default.json");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tributary.toml");
    fs::write(&file, of_kind(&manifests, "ConfigMap")[0]["data"]["tributary.toml"].as_str().unwrap())
        .unwrap();
    let container = &of_kind(&manifests, "StatefulSet")[0]["spec"]["template"]["spec"]["containers"][0];
    let mut check = program();
    for variable in container["env"].as_array().unwrap() {
        check.env(variable["name"].as_str().unwrap(), variable["value"].as_str().unwrap());
    }
    check.env("TRIBUTARY_CONFIG", &file);
    let output = check.args(["check", "--offline"]).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}");
    for said in ["state = \"/data/state\"", "listen = \"0.0.0.0:8080\"", "search-tributary.shop.svc"] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    let full = rendered("full.json");
    for kind in ["StatefulSet", "Job"] {
        let container = &of_kind(&full, kind)[0]["spec"]["template"]["spec"]["containers"][0];
        let arguments =
            container["args"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap());
        let output = program().args(arguments).arg("--help").output().unwrap();
        assert!(output.status.success(), "{kind}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let files = &of_kind(&full, "ConfigMap")[0]["data"];
    assert!(files["model.toml"].as_str().unwrap().contains("{{ This }} is no template"), "{files}");
}

#[test]
fn a_pod_is_closed_and_is_asked_what_the_server_answers() {
    let routes: Value =
        serde_json::from_str(&fs::read_to_string(root().join("src/http/openapi.json")).unwrap()).unwrap();
    for name in ["default.json", "full.json"] {
        let manifests = rendered(name);
        let pods = [of_kind(&manifests, "StatefulSet"), of_kind(&manifests, "Job")].concat();
        for pod in pods {
            let spec = &pod["spec"]["template"]["spec"];
            let container = &spec["containers"][0];
            assert_eq!(spec["securityContext"]["runAsUser"], 10001, "{spec}");
            assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true, "{container}");
            assert_eq!(container["securityContext"]["capabilities"]["drop"], json!(["ALL"]), "{container}");
            assert!(container["resources"]["limits"]["memory"].is_string(), "{container}");
        }
        let set = of_kind(&manifests, "StatefulSet")[0];
        let container = &set["spec"]["template"]["spec"]["containers"][0];
        for (probe, path) in
            [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")]
        {
            assert_eq!(container[probe]["httpGet"]["path"], path);
            assert!(routes["paths"].get(path).is_some(), "{path} is no route");
        }
    }
}

#[test]
fn services_budget_and_monitoring_select_the_instances_and_no_rebuild() {
    let manifests = rendered("full.json");
    let labels = |kind: &str| &of_kind(&manifests, kind)[0]["spec"]["template"]["metadata"]["labels"];
    let mut selectors: Vec<&Value> =
        of_kind(&manifests, "Service").iter().map(|service| &service["spec"]["selector"]).collect();
    selectors.push(&of_kind(&manifests, "PodDisruptionBudget")[0]["spec"]["selector"]["matchLabels"]);
    selectors.push(&of_kind(&manifests, "StatefulSet")[0]["spec"]["selector"]["matchLabels"]);
    assert_eq!(selectors.len(), 4);
    for selector in selectors {
        assert!(selects(selector, labels("StatefulSet")) && !selects(selector, labels("Job")), "{selector}");
    }
    let monitor = &of_kind(&manifests, "ServiceMonitor")[0]["spec"];
    let services = of_kind(&manifests, "Service");
    let asked =
        |service: &&&Value| selects(&monitor["selector"]["matchLabels"], &service["metadata"]["labels"]);
    assert_eq!(services.iter().filter(asked).count(), 1, "each instance is asked once");
    assert_eq!(monitor["endpoints"][0]["path"], "/metrics");
    let alerts = fs::read_to_string(root().join("docs/monitoring/alerts.yml")).unwrap();
    let rules = of_kind(&manifests, "PrometheusRule")[0]["spec"]["groups"][0]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), alerts.matches("- alert: ").count());
    // The alerts name the job, which is the value of this label.
    let job = &services[0]["metadata"]["labels"][monitor["jobLabel"].as_str().unwrap()];
    assert!(alerts.contains(&format!("up{{job={job}}}")), "{job}");
    assert!(of_kind(&rendered("default.json"), "Job").is_empty(), "a rebuild is asked for");
}
