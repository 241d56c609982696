# The image of `pipe` itself. Jobs run as containers beside it, on the engine whose socket it is given:
#   docker run --rm -v /var/run/docker.sock:/var/run/docker.sock -v "$PWD:$PWD" -w "$PWD" pipe run
# Whoever may use that socket may do anything on its machine; give it to nobody else.
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc libc6-dev make pkg-config \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package pipe

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates git \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --create-home --shell /usr/sbin/nologin pipe
COPY --from=build /src/target/release/pipe /usr/local/bin/pipe
USER pipe
ENV XDG_STATE_HOME=/home/pipe/state XDG_CACHE_HOME=/home/pipe/cache
ENTRYPOINT ["pipe"]
CMD ["--help"]
