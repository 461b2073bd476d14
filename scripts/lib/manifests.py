"""Reads manifests of Kubernetes from the standard input, checks each against its schema, and writes them as JSON.

The kinds of Prometheus' operator have no schema here, and are written as they are.
"""

import json
import sys

import kubernetes_validate
import yaml

manifests = [manifest for manifest in yaml.safe_load_all(sys.stdin) if manifest]
for manifest in manifests:
    if not manifest["apiVersion"].startswith("monitoring.coreos.com/"):
        kubernetes_validate.validate(manifest, "1.34", strict=True)
manifests.sort(key=lambda manifest: (manifest["kind"], manifest["metadata"]["name"]))
json.dump(manifests, sys.stdout, indent=1, sort_keys=True)
print()
