#!/usr/bin/env bash
# Makes the base images that the shop's Dockerfiles and pipeline name available to the local Docker engine.
#
# For each image: nothing when it is there; else the official image is pulled; else, where no registry is reachable,
# a stand-in with the same tag is built from Debian's packages (mmdebstrap | docker import, then stand-in/*.Dockerfile).
# A stand-in behaves as the official image does where our files depend on it, carries the label org.pipe.stand-in=true,
# and never leaves this machine. Remove it with `docker rmi IMAGE`, and the next call pulls again.
#
# A stand-in trusts and asks what its host trusts and asks: CA bundle, package indexes and proxies are read from the
# host while it is built. Credentials are not copied.
set -euo pipefail

PULL_ANSWER_SECONDS_MAX=20
PULL_SECONDS_MAX=900
SUITE=bookworm
BASE=pipe/stand-in-base:$SUITE
# image, and the file in stand-in/ that stands in for it
IMAGES=(
  "buildpack-deps:$SUITE buildpack-deps"
  "python:3.11-slim-$SUITE python"
  "node:20-$SUITE-slim node"
  "postgres:15-$SUITE postgres"
)

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pipe/stand-in
registry_answers=unknown

say() { printf 'images: %s\n' "$*"; }
fail() { printf 'images: %s\n' "$*" >&2; exit 1; }
present() { docker image inspect "$1" >/dev/null 2>&1; }

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Pulls $1. Gives up when the registry has not answered after PULL_ANSWER_SECONDS_MAX, and then asks it no more.
pull() {
  [[ $registry_answers != no ]] || return 1
  local log=$scratch/pull deadline=$((SECONDS + PULL_ANSWER_SECONDS_MAX)) pid
  : >"$log"
  docker pull "$1" >"$log" 2>&1 &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    if grep -q 'Pulling from' "$log" && [[ $registry_answers != yes ]]; then
      registry_answers=yes
      say "pulling $1"
      deadline=$((SECONDS + PULL_SECONDS_MAX))
    fi
    if ((SECONDS >= deadline)); then
      kill "$pid" 2>/dev/null || true
      echo "no answer in time" >>"$log"
    fi
    sleep 0.1
  done
  wait "$pid" && return 0
  # A registry that answered may still refuse one image; one that did not answer is not asked again.
  [[ $registry_answers == yes ]] || registry_answers=no
  say "pull of $1 failed: $(tail -n 1 "$log")"
  return 1
}

# The settings below reach the stand-ins as files of the base image, so that every tool inside finds them.
host_files() {
  local root=$1 value key
  mkdir -p "$root/etc/ssl/certs" "$root/etc/apt/apt.conf.d" "$root/usr/local/etc"
  [[ ! -r /etc/ssl/certs/ca-certificates.crt ]] || cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
  for key in http https; do
    value=$(apt-config dump --format '%v' "Acquire::$key::Proxy" 2>/dev/null || true)
    without_credentials "$value" || continue
    echo "Acquire::$key::Proxy \"$value\";" >>"$root/etc/apt/apt.conf.d/99host-proxy"
  done
  echo "[global]" >"$root/etc/pip.conf"
  if command -v pip >/dev/null; then
    for key in index-url extra-index-url trusted-host proxy; do
      value=$(pip config get "global.$key" 2>/dev/null || pip config get ":env:.$key" 2>/dev/null || true)
      without_credentials "$value" || continue
      echo "$key = ${value//$'\n'/ }" >>"$root/etc/pip.conf"
    done
  fi
  if command -v npm >/dev/null; then
    for key in registry proxy https-proxy noproxy strict-ssl; do
      value=$(npm config get "$key" 2>/dev/null || true)
      without_credentials "$value" || continue
      echo "$key=$value" >>"$root/usr/local/etc/npmrc"
    done
  fi
}

# Whether $1 is a setting worth copying: set, and without a password, which no image should hold.
without_credentials() {
  case $1 in
    '' | null | undefined) return 1 ;;
    *://*@*)
      say "a package index or proxy of this host needs a password; stand-ins do without it"
      return 1
      ;;
  esac
}

mmdebstrap_ready() {
  command -v mmdebstrap >/dev/null && return 0
  [[ $(id -u) == 0 ]] || fail "mmdebstrap is missing; run: sudo apt-get install -y mmdebstrap, then: make images"
  command -v apt-get >/dev/null || fail "mmdebstrap is missing and this is not a Debian or Ubuntu machine; load the images with: docker load"
  say "installing mmdebstrap"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    mmdebstrap debian-archive-keyring >/dev/null
}

# The minimal Debian under every stand-in, made once and kept as a tarball.
base() {
  present "$BASE" && return 0
  local tarball=$cache/minbase-$SUITE.tar root=$scratch/host
  mkdir -p "$cache"
  if [[ ! -s $tarball ]]; then
    mmdebstrap_ready
    say "building a minimal Debian $SUITE (about half a minute, once)"
    mmdebstrap --quiet --variant=minbase --include=ca-certificates,tzdata,netbase \
      --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
      --dpkgopt='path-exclude=/usr/share/locale/*' "$SUITE" "${tarball%.tar}.part.tar" 2>"$scratch/mmdebstrap" ||
      { tail -n 20 "$scratch/mmdebstrap" >&2; fail "mmdebstrap failed"; }
    mv "${tarball%.tar}.part.tar" "$tarball"
  fi
  docker import --change 'LABEL org.pipe.stand-in=true' --change 'CMD ["bash"]' "$tarball" "$BASE-plain" >/dev/null
  host_files "$root"
  printf 'FROM %s\nCOPY . /\n' "$BASE-plain" | build "$BASE" -f - "$root"
}

# docker build with the host's proxies and name resolution; works with and without the buildx plug-in.
build() {
  local tag=$1 proxy arguments=()
  shift
  for proxy in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    [[ -z ${!proxy:-} ]] || arguments+=(--build-arg "$proxy=${!proxy}")
  done
  local buildkit=1
  docker buildx version >/dev/null 2>&1 || buildkit=0
  DOCKER_BUILDKIT=$buildkit docker build --network host --label org.pipe.stand-in=true \
    ${arguments[@]+"${arguments[@]}"} --tag "$tag" "$@" >"$scratch/build" 2>&1 ||
    { tail -n 40 "$scratch/build" >&2; fail "building $tag failed"; }
}

docker info >/dev/null 2>&1 || fail "the Docker engine does not answer; start it with: sudo dockerd &  (or: sudo systemctl start docker)"
[[ $(docker version --format '{{.Server.Os}}' 2>/dev/null) == linux ]] || fail "the Docker engine must run Linux containers"

for entry in "${IMAGES[@]}"; do
  read -r image stand_in <<<"$entry"
  if present "$image"; then
    say "$image is here"
  elif pull "$image"; then
    say "$image pulled"
  else
    say "official image $image cannot be pulled; building a stand-in with the same tag"
    started=$SECONDS
    base
    build "$image" --build-arg "BASE=$BASE" -f "$here/stand-in/$stand_in.Dockerfile" "$here/stand-in"
    say "$image stands in, built in $((SECONDS - started)) s"
  fi
done
