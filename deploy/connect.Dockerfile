# Kafka Connect with Debezium for PostgreSQL and the converter of the schema registry, for the compose file's profile `sources`.
FROM maven:3-eclipse-temurin-17 AS plugins
COPY scripts/lib/debezium-pom.xml scripts/lib/converter-pom.xml /poms/
# The worker's libraries go before those of its plugins.
RUN for plugin in debezium converter; do \
      mvn -q -B -f /poms/$plugin-pom.xml dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=/plugins/$plugin && \
      cd /plugins/$plugin && \
      rm -f connect-api-* connect-json-* kafka-clients-* slf4j-api-* lz4-java-* snappy-java-* zstd-jni-* jackson-* || exit 1; \
    done

FROM apache/kafka:4.3.0
COPY --from=plugins /plugins /opt/plugins
USER root
RUN mkdir /data && chown appuser /data && printf '%s\n' \
      bootstrap.servers=kafka:19092 \
      key.converter=org.apache.kafka.connect.json.JsonConverter \
      value.converter=org.apache.kafka.connect.json.JsonConverter \
      key.converter.schemas.enable=false \
      value.converter.schemas.enable=false \
      offset.storage.file.filename=/data/offsets \
      offset.flush.interval.ms=1000 \
      plugin.path=/opt/plugins \
      listeners=http://0.0.0.0:8083 >/opt/worker.properties
USER appuser
VOLUME /data
EXPOSE 8083
ENTRYPOINT ["/opt/kafka/bin/connect-standalone.sh", "/opt/worker.properties"]
