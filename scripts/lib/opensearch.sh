# OpenSearch with the modules of its distribution. Sourced by `scripts/services`.

# The jars of a version. Version 2 comes without the library of its logs.
fetch_opensearch() {
  local libs=$cache/opensearch-$os_version log4j=2.25.4
  [ -f "$libs/.whole" ] && { echo "$libs"; return; }
  command -v mvn >/dev/null || fail "neither a Docker engine nor Maven is here; install one of them (Debian: maven)"
  say "fetching OpenSearch $os_version"
  case $os_version in 2.*) log4j=2.21.0 ;; esac
  rm -rf "$libs"; mkdir -p "$libs"
  sed "s/@OPENSEARCH@/$os_version/; s/@LOG4J@/$log4j/" "$here/lib/opensearch-pom.xml" >"$libs/pom.xml"
  mvn -q -B -f "$libs/pom.xml" dependency:copy-dependencies -DoutputDirectory="$libs" >&2 ||
    fail "Maven could not fetch OpenSearch; see its message above"
  touch "$libs/.whole"
  echo "$libs"
}

start_opensearch() {
  pid_of opensearch >/dev/null && return
  local libs home data=$run/opensearch
  libs=$(fetch_opensearch); home=$(java21)
  mkdir -p "$data"
  setsid nohup "$home/bin/java" "-Xms$es_heap" "-Xmx$es_heap" "-Dtributary=$data" -cp "$libs/*" "$here/lib/OpenSearchNode.java" \
    "$data/node" "$(port_of opensearch)" "$(port_of opensearch-transport)" >>"$data/server.log" 2>&1 </dev/null 9>&- &
  echo $! >"$run/opensearch.pid"
}

opensearch_answers() {
  curl -sf -m 5 "localhost:$(port_of opensearch)/_cluster/health?wait_for_status=yellow&timeout=3s" >/dev/null
}
