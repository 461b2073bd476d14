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
  printf 'subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n' >"$to/server.ext"
  openssl x509 -req -in "$to/server.csr" -CA "$to/ca.pem" -CAkey "$to/ca.key" -CAcreateserial -days 3650 \
    -extfile "$to/server.ext" -out "$to/server.pem" 2>/dev/null
  # Kafka takes key and certificates from one file.
  cat "$to/server.key" "$to/server.pem" "$to/ca.pem" >"$to/kafka.pem"
  chmod a+r "$to"/*
  touch "$to/.whole"
}

password() { head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

# The plain listener is the broker's own; the other one asks for TLS and a password, of either kind.
start_secured_kafka() {
  local to=$run/certificates secret module=org.apache.kafka.common.security
  certificates
  secret=$(kept secured.password password)
  boot_kafka secured-kafka "SECURED://localhost:$(port_of secured-sasl)" \
    --add-scram "SCRAM-SHA-512=[name=tributary,password=$secret]" <<CONF
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_SSL
inter.broker.listener.name=PLAINTEXT
ssl.keystore.type=PEM
ssl.keystore.location=$to/kafka.pem
ssl.client.auth=none
listener.name.secured.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.secured.plain.sasl.jaas.config=$module.plain.PlainLoginModule required user_tributary="$secret";
listener.name.secured.scram-sha-512.sasl.jaas.config=$module.scram.ScramLoginModule required;
CONF
}

# Two users: `tributary` may do what README.md says is needed, `elastic` everything.
start_secured_elasticsearch() {
  local to=$run/certificates config=$run/secured-elasticsearch/config home secret
  certificates
  secret=$(kept secured.password password)
  home=$(fetch_elasticsearch)
  pid_of secured-elasticsearch >/dev/null && return
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
  boot_elasticsearch secured-elasticsearch 512m <<CONF
xpack.security.enabled: true
xpack.security.http.ssl.enabled: true
xpack.security.http.ssl.key: server.key
xpack.security.http.ssl.certificate: server.pem
xpack.security.authc.api_key.enabled: true
CONF
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
  echo "SECURED_ELASTICSEARCH=https://localhost:$(port_of secured-elasticsearch)"
  echo "SECURED_CERTIFICATES=$run/certificates"
  echo "SECURED_PASSWORD=$(cat "$run/secured.password")"
}
