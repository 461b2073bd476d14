FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends g++ make pkg-config libssl-dev zlib1g-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY src src
COPY mappings mappings
# Tests and benchmarks are not built here, but the manifest names them.
RUN mkdir tests benches && touch tests/main.rs benches/search.rs && cargo build --release --locked

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates libssl3 zlib1g && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 tributary && install -d -o tributary /data
COPY --from=build /source/target/release/tributary /usr/local/bin/tributary
USER tributary
WORKDIR /data
VOLUME /data
EXPOSE 8080
ENTRYPOINT ["tributary"]
CMD ["run"]
