# A database whose changes come by Kafka: PostgreSQL, Kafka Connect with Debezium, a schema registry. Sourced by
# `scripts/services`; started by `up --with` only.

registry_version=3.0.9
message_db_version=1.3.1
sources=(connect registry postgres)

# The folder of PostgreSQL's programs.
postgres_bin() {
  local bin
  for bin in "${TRIBUTARY_POSTGRES_BIN:-}" $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV) "$(dirname "$(command -v initdb || true)")"; do
    [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ] && { echo "$bin"; return; }
  done
  fail "PostgreSQL is not here; install it (Debian: postgresql), or set TRIBUTARY_POSTGRES_BIN to the folder of its programs"
}

# Copies the libraries of a POM into a folder, and deletes those that match the patterns after them.
fetch_libraries() {
  local what=$1 to=$2 pattern; shift 2
  [ -f "$to/.whole" ] && return
  command -v mvn >/dev/null || fail "neither a Docker engine nor Maven is here; install one of them (Debian: maven)"
  say "fetching $what"
  rm -rf "$to"; mkdir -p "$to"
  cp "$here/lib/$what-pom.xml" "$to/pom.xml"
  mvn -q -B -f "$to/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$to" >&2 ||
    fail "Maven could not fetch $what; see its message above"
  for pattern in "$@"; do rm -f "$to"/$pattern; done
  touch "$to/.whole"
}

# The worker's libraries go before those of its plugins.
worker_has=('connect-api-*' 'kafka-clients-*' 'slf4j-api-*' 'lz4-java-*' 'snappy-java-*' 'zstd-jni-*' 'jackson-*')

# A change of a POM is another folder.
fetch_connect() {
  local home
  home=$cache/connect-$(cat "$here"/lib/{connect,debezium,converter}-pom.xml | cksum | cut -d' ' -f1)
  fetch_libraries connect "$home/libs"
  fetch_libraries debezium "$home/plugins/debezium" "${worker_has[@]}"
  fetch_libraries converter "$home/plugins/converter" "${worker_has[@]}" 'connect-json-*'
  echo "$home"
}

fetch_registry() {
  local home=$cache/registry-$registry_version
  [ -f "$home/.whole" ] && { echo "$home"; return; }
  command -v mvn >/dev/null || fail "neither a Docker engine nor Maven is here; install one of them (Debian: maven)"
  say "fetching the schema registry $registry_version"
  rm -rf "$home"; mkdir -p "$home"
  mvn -q -B dependency:copy -Dartifact="io.apicurio:apicurio-registry-app:$registry_version:zip:all" -DoutputDirectory="$home" >&2 ||
    fail "Maven could not fetch the schema registry; see its message above"
  (cd "$home" && "$(java21)/bin/jar" xf ./*.zip && rm -f ./*.zip)
  touch "$home/.whole"
  echo "$home"
}

# The user `secured` is let in by TLS and a password only.
start_postgres() {
  pid_of postgres >/dev/null && return
  local data=$run/postgres bin as=() part
  bin=$(postgres_bin)
  mkdir -p "$data"
  certificates
  for part in pem key; do install -m 600 "$run/certificates/server.$part" "$data/server.$part"; done
  if [ "$(id -u)" = 0 ]; then
    # PostgreSQL refuses to run as root, and as a user without a name.
    local user=postgres
    getent passwd "$user" >/dev/null || user=nobody
    chown -R "$user" "$data"
    open_path "$data"
    as=(setpriv "--reuid=$user" "--regid=$(id -g "$user")" --clear-groups)
  fi
  [ -f "$data/data/PG_VERSION" ] ||
    (cd "$data" && "${as[@]}" "$bin/initdb" -D "$data/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8) >"$data/initdb.log" 2>&1 ||
    { tail -n 20 "$data/initdb.log" >&2; fail "the folder of the database could not be made"; }
  cat >"$data/data/pg_hba.conf" <<CONF
hostssl all secured 127.0.0.1/32 scram-sha-256
host all secured all reject
host all all 127.0.0.1/32 trust
host replication all 127.0.0.1/32 trust
CONF
  cat >"$data/data/postgresql.auto.conf" <<CONF
ssl = on
ssl_cert_file = '$data/server.pem'
ssl_key_file = '$data/server.key'
port = $(port_of postgres)
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
wal_level = logical
max_wal_senders = 30
max_replication_slots = 30
max_connections = 60
shared_buffers = 16MB
fsync = off
CONF
  (cd "$data" && exec setsid nohup "${as[@]}" "$bin/postgres" -D "$data/data") >>"$data/server.log" 2>&1 </dev/null 9>&- &
  echo $! >"$run/postgres.pid"
}

start_registry() {
  pid_of registry >/dev/null && return
  local home data=$run/registry
  home=$(fetch_registry)
  mkdir -p "$data"
  (cd "$home" && exec setsid nohup java -Xmx256m -Dtributary="$data" -Dquarkus.http.host=127.0.0.1 -Dquarkus.http.port="$(port_of registry)" \
    -jar "apicurio-registry-app-$registry_version-runner.jar") >>"$data/server.log" 2>&1 </dev/null 9>&- &
  echo $! >"$run/registry.pid"
}

# A worker forgets its connectors when it ends, and goes on where they were when they are made again.
start_connect() {
  pid_of connect >/dev/null && return
  local home data=$run/connect
  home=$(fetch_connect)
  mkdir -p "$data"
  cat >"$data/worker.properties" <<CONF
bootstrap.servers=localhost:$(port_of kafka)
key.converter=org.apache.kafka.connect.json.JsonConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
key.converter.schemas.enable=false
value.converter.schemas.enable=false
offset.storage.file.filename=$data/offsets
offset.flush.interval.ms=1000
plugin.path=$home/plugins
listeners=http://localhost:$(port_of connect)
CONF
  setsid nohup java -Xmx384m -Dtributary="$data" -cp "$home/libs/*" org.apache.kafka.connect.cli.ConnectStandalone \
    "$data/worker.properties" >>"$data/server.log" 2>&1 </dev/null 9>&- &
  echo $! >"$run/connect.pid"
}

postgres_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$(port_of postgres)") 2>/dev/null && sql -qc 'select 1' >/dev/null 2>&1; }
registry_answers() { curl -sf -m 5 "localhost:$(port_of registry)/apis/ccompat/v7/subjects" >/dev/null; }
connect_answers() { curl -sf -m 5 "localhost:$(port_of connect)/connectors" >/dev/null; }

# The database's own client.
sql() {
  if with_docker; then compose_quiet exec -T postgres psql -U postgres -X -v ON_ERROR_STOP=1 "$@"
  else "$(postgres_bin)/psql" -h 127.0.0.1 -p "$(port_of postgres)" -U postgres -X -v ON_ERROR_STOP=1 "$@"; fi
}

# The folder of message-db's statements.
fetch_message_db() {
  local home=$cache/message-db-$message_db_version
  [ -f "$home/.whole" ] && { echo "$home/package/database"; return; }
  command -v npm >/dev/null || fail "npm is not here; message-db comes from its registry (Debian: npm)"
  say "fetching message-db $message_db_version"
  rm -rf "$home"; mkdir -p "$home"
  (cd "$home" && npm pack --silent "@eventide/message-db@$message_db_version" >&2 && tar xzf ./*.tgz) ||
    fail "npm could not fetch message-db; see its message above"
  touch "$home/.whole"
  echo "$home/package/database"
}

# Makes a database with message-db in it. Its functions name each other without a schema.
make_message_db() {
  local name=$1 from part
  from=$(fetch_message_db)
  sql -qc "CREATE DATABASE \"$name\"" >&2
  {
    cat "$from"/roles/*.sql "$from"/schema/*.sql "$from"/extensions/*.sql
    echo "SET search_path TO message_store, public;"
    cat "$from"/tables/*.sql "$from"/types/*.sql
    for part in message-store-version hash-64 acquire-lock category is-category id cardinal-id stream-version write-message \
      get-stream-messages get-category-messages get-last-stream-message; do cat "$from/functions/$part.sql"; done
    cat "$from"/indexes/*.sql "$from"/views/*.sql "$from"/privileges/*.sql
  } | sql -q -d "$name" -f - >&2
  with_docker || echo "MESSAGE_DB_CERTIFICATES=$run/certificates"
  echo "MESSAGE_DB=postgres://message_store@127.0.0.1:$(port_of postgres)/$name"
}

# The names after `--with`.
others_of() {
  local name
  for name in ${1//,/ }; do
    case " ${others[*]} " in *" $name "*) echo "$name" ;; *) fail "--with takes ${others[*]}, with commas between them" ;; esac
  done
}

# The addresses of the servers that run, and those by which Connect finds the others.
other_addresses() {
  local name
  for name in "$@"; do
    case $name in
      elasticsearch | opensearch) echo "${name^^}=http://localhost:$(port_of "$name")" ;;
      connect) echo "CONNECT=http://localhost:$(port_of connect)" ;;
      registry) echo "REGISTRY=http://localhost:$(port_of registry)" ;;
      postgres) echo "POSTGRES=localhost:$(port_of postgres)" ;;
    esac
  done
  if with_docker; then
    echo "REGISTRY_FROM_CONNECT=http://registry:8080"; echo "POSTGRES_FROM_CONNECT=postgres:5432"
  else
    echo "REGISTRY_FROM_CONNECT=http://localhost:$(port_of registry)"; echo "POSTGRES_FROM_CONNECT=localhost:$(port_of postgres)"
  fi
}
