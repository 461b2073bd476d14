# A second Kafka and a second Elasticsearch that ask who is there: TLS and passwords. Sourced by
# `scripts/services`; started by `scripts/services secured` alone, by Maven's servers only.

# A certificate authority, another one that signed nothing, and a certificate for localhost.
certificates() {
  local to=$run/certificates
  [ -f "$to/.whole" ] && return
  command -v openssl >/dev/null || fail "openssl is needed to make certificates; install it"
  mkdir -p "$to"
  local name
  for name in ca other-ca; do
    openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=tributary $name" \
      -addext basicConstraints=critical,CA:TRUE -keyout "$to/$name.key" -out "$to/$name.pem" 2>/dev/null
  done
  openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout "$to/server.key" -out "$to/server.csr" 2>/dev/null
  printf 'subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n' >"$to/server.ext"
  openssl x509 -req -in "$to/server.csr" -CA "$to/ca.pem" -CAkey "$to/ca.key" -CAcreateserial -days 3650 \
    -extfile "$to/server.ext" -out "$to/server.pem" 2>/dev/null
  # Kafka takes key and certificates from one file.
  cat "$to/server.key" "$to/server.pem" "$to/ca.pem" >"$to/kafka.pem"
  chmod a+r "$to"/*
  touch "$to/.whole"
}

password() { head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

# The plain listener is the broker's own, and a client that comes by it may do everything, because tests give rights away there.
# The other listener asks for TLS and a password of either kind. It allows no operation without an ACL, not even where a topic
# or a group has none. The user `tributary` is above the ACLs, because it also makes topics and writes events. The user
# `limited` has no right by itself.
start_secured_kafka() {
  local to=$run/certificates secret module=org.apache.kafka.common.security
  certificates
  secret=$(kept secured.password password)
  boot_kafka secured-kafka "SECURED://localhost:$(port_of secured-sasl)" \
    --add-scram "SCRAM-SHA-512=[name=tributary,password=$secret]" \
    --add-scram "SCRAM-SHA-512=[name=limited,password=$secret]" <<CONF
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_SSL
inter.broker.listener.name=PLAINTEXT
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:ANONYMOUS;User:tributary
ssl.keystore.type=PEM
ssl.keystore.location=$to/kafka.pem
ssl.client.auth=none
listener.name.secured.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.secured.plain.sasl.jaas.config=$module.plain.PlainLoginModule required user_tributary="$secret" user_limited="$secret";
listener.name.secured.scram-sha-512.sasl.jaas.config=$module.scram.ScramLoginModule required;
CONF
}

secured_acl() {
  java -cp "$(fetch_kafka)/*" org.apache.kafka.tools.AclCommand --bootstrap-server "localhost:$(port_of secured-kafka)" "$@"
}

# The program with the parts that its security index needs, beside the plain one: both are linked, not copied, where the disk allows.
secured_elasticsearch() {
  local home source=$here/lib/SecurityIndex.java plain bin
  home=$cache/elasticsearch-$es_version-secured-$(cksum <"$source" | cut -d' ' -f1)
  [ -f "$home/.secured" ] && { echo "$home"; return; }
  plain=$(fetch_elasticsearch)
  bin=$(java21)/bin
  rm -rf "$home" "$home.tmp"
  cp -rl "$plain" "$home.tmp" 2>/dev/null || { rm -rf "$home.tmp"; cp -r "$plain" "$home.tmp"; }
  local plugin=$home.tmp/plugins/security-index classes=$home.tmp/plugins/classes
  mkdir -p "$plugin"
  "$bin/javac" --release 21 -cp "$plain/lib/*" -d "$classes" "$source" >&2 &&
    "$bin/jar" cf "$plugin/security-index.jar" -C "$classes" . || fail "$source could not be compiled; see the message above"
  rm -rf "$classes"
  cat >"$plugin/stable-plugin-descriptor.properties" <<CONF
name=security-index
description=What the security index's analyzer names
version=1
elasticsearch.version=$es_version
java.version=21
CONF
  cat >"$plugin/named_components.json" <<'CONF'
{"org.elasticsearch.plugin.analysis.TokenizerFactory": {"uax_url_email": "tributary.SecurityIndex$Words"},
 "org.elasticsearch.plugin.analysis.TokenFilterFactory": {
   "pattern_capture": "tributary.SecurityIndex$Parts", "unique": "tributary.SecurityIndex$Once"}}
CONF
  touch "$home.tmp/.secured"
  mv "$home.tmp" "$home"
  echo "$home"
}

# Two users: `tributary` has the rights that docs/operations.md names, on every index; `admin` everything. Tests make others.
start_secured_elasticsearch() {
  local to=$run/certificates config=$run/secured-elasticsearch/config home secret
  certificates
  secret=$(kept secured.password password)
  pid_of secured-elasticsearch >/dev/null && return
  home=$(secured_elasticsearch)
  mkdir -p "$config"
  cp -r "$home/config/." "$config/"
  cp "$to"/server.key "$to"/server.pem "$config/"
  cat >"$config/roles.yml" <<CONF
tributary:
  cluster: [monitor]
  indices: [{names: ["*"], privileges: [manage, read, write]}]
CONF
  : >"$config/users"; : >"$config/users_roles"
  ES_JAVA_HOME=$(java21) ES_PATH_CONF=$config "$home/bin/elasticsearch-users" useradd tributary -p "$secret" -r tributary >&2
  ES_JAVA_HOME=$(java21) ES_PATH_CONF=$config "$home/bin/elasticsearch-users" useradd admin -p "$secret" -r superuser >&2
  boot_elasticsearch secured-elasticsearch 512m "$home" <<CONF
xpack.security.enabled: true
xpack.security.http.ssl.enabled: true
xpack.security.http.ssl.key: server.key
xpack.security.http.ssl.certificate: server.pem
xpack.security.authc.api_key.enabled: true
CONF
}

# OpenSearch with its security plugin, which has to be of the same version.
secured_os_version=2.19.1

fetch_security_plugin() {
  local libs=$cache/opensearch-security-$secured_os_version
  [ -f "$libs/.whole" ] && { echo "$libs"; return; }
  say "fetching OpenSearch's security plugin $secured_os_version"
  rm -rf "$libs"; mkdir -p "$libs"
  mvn -q -B dependency:copy -Dartifact="org.opensearch.plugin:opensearch-security:$secured_os_version.0:zip" -DoutputDirectory="$libs" >&2 ||
    fail "Maven could not fetch OpenSearch's security plugin; see its message above"
  (cd "$libs" && "$(java21)/bin/jar" xf ./*.zip && rm ./*.zip)
  touch "$libs/.whole"
  echo "$libs"
}

# The same two users as on Elasticsearch: `tributary` has the rights that docs/operations.md names.
start_secured_opensearch() {
  local libs plugin java config=$run/secured-opensearch/node/node_1/config hash
  certificates
  kept secured.password password >/dev/null
  pid_of secured-opensearch >/dev/null && return
  libs=$(os_version=$secured_os_version; fetch_opensearch); plugin=$(fetch_security_plugin); java=$(java21)/bin/java
  mkdir -p "$config/opensearch-security"
  cp "$plugin"/config/*.yml "$config/opensearch-security/"
  cp "$run"/certificates/{ca.pem,server.pem,server.key} "$config/"
  hash=$("$java" -cp "$plugin/*:$libs/*" org.opensearch.security.tools.Hasher -p "$(cat "$run/secured.password")" 2>/dev/null | tail -n 1)
  cat >"$config/opensearch-security/internal_users.yml" <<CONF
_meta: {type: internalusers, config_version: 2}
admin: {hash: "$hash", backend_roles: [admin]}
tributary: {hash: "$hash"}
CONF
  cat >"$config/opensearch-security/roles.yml" <<CONF
_meta: {type: roles, config_version: 2}
tributary:
  cluster_permissions: [cluster_composite_ops, cluster_monitor]
  index_permissions: [{index_patterns: ["*"], allowed_actions: [manage, read, write, manage_point_in_time]}]
CONF
  cat >"$config/opensearch-security/roles_mapping.yml" <<CONF
_meta: {type: rolesmapping, config_version: 2}
all_access: {backend_roles: [admin]}
tributary: {users: [tributary]}
CONF
  setsid nohup "$java" -Xms128m -Xmx512m "-Dtributary=$run/secured-opensearch" -cp "$libs/*:$plugin/*" "$here/lib/OpenSearchNode.java" \
    "$run/secured-opensearch/node" "$(port_of secured-opensearch)" "$(port_of secured-opensearch-transport)" secured \
    >>"$run/secured-opensearch/server.log" 2>&1 </dev/null 9>&- &
  echo $! >"$run/secured-opensearch.pid"
}

secured-opensearch_answers() {
  curl -sf -m 5 --cacert "$run/certificates/ca.pem" -u "admin:$(cat "$run/secured.password")" \
    "https://localhost:$(port_of secured-opensearch)/_cluster/health?wait_for_status=yellow&timeout=3s" >/dev/null
}

secured-kafka_answers() {
  (exec 3<>"/dev/tcp/localhost/$(port_of secured-sasl)") 2>/dev/null &&
    grep -q 'Kafka Server started' "$run/secured-kafka/server.log"
}
secured-elasticsearch_answers() {
  curl -sf -m 5 --cacert "$run/certificates/ca.pem" -u "admin:$(cat "$run/secured.password")" \
    "https://localhost:$(port_of secured-elasticsearch)/_cluster/health?wait_for_status=yellow&timeout=3s" >/dev/null
}

secured_addresses() {
  echo "SECURED_KAFKA=localhost:$(port_of secured-sasl)"
  echo "SECURED_KAFKA_PLAIN=localhost:$(port_of secured-kafka)"
  echo "SECURED_ELASTICSEARCH=https://localhost:$(port_of secured-elasticsearch)"
  echo "SECURED_CERTIFICATES=$run/certificates"
  echo "SECURED_PASSWORD=$(cat "$run/secured.password")"
}
