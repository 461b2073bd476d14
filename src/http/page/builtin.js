
// Words for the built-in model alone.

const BUILT_IN = {
  labels: { "hierarchy.children": "Subsidiaries" },
  sample: { organisations: "jane acme" },
  quiet: { organisations: ["type"] },
};
