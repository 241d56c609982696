# Stands in for buildpack-deps:bookworm, the default image of `runs-on: ubuntu-*`: git, a C compiler, the usual tools.
ARG BASE
FROM ${BASE}
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      autoconf automake bzip2 curl file g++ gcc git gnupg libssl-dev make openssh-client patch \
      pkg-config procps python3 unzip wget xz-utils zlib1g-dev \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
CMD ["bash"]
