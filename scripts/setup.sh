#!/usr/bin/env bash
# Checks what building, testing and running need on a Debian or Ubuntu machine: a C compiler, Rust, and a Docker engine
# that answers. As root it installs and starts what is missing; otherwise it prints the exact commands and fails.
# Node and Python are not needed: where they are absent, the services' checks run in their own images. Programs that only
# one task needs are given as arguments: setup.sh haproxy wrk.
set -euo pipefail

ENGINE_START_SECONDS_MAX=30
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pipe
pid_file=/var/run/docker.pid

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }
is_root() { [[ $(id -u) == 0 ]]; }
has() { command -v "$1" >/dev/null; }
engine_answers() { docker info >/dev/null 2>&1; }
# The engine that we would start is the one on this machine; one elsewhere is somebody else's business.
engine_is_local() { [[ -z ${DOCKER_HOST:-} || $DOCKER_HOST == unix://* ]] && [[ -z ${DOCKER_CONTEXT:-} ]]; }
has_systemd() { [[ -d /run/systemd/system ]]; }

missing_packages() {
  local program
  for program in "$@"; do has "$program" || echo "$program"; done
  has cc || echo gcc
  # linux/*.h and the like, for crates that compile C
  [[ -e /usr/include/stdio.h ]] || echo libc6-dev
  has make || echo make
  has git || echo git
  has docker || echo docker.io
  # what tests put into images that have nothing else
  [[ -e /bin/busybox ]] || echo busybox-static
  if engine_is_local && ! { has docker && engine_answers; }; then
    has dockerd || echo docker.io
    has iptables || echo iptables
    has_systemd || [[ -d /sys/fs/cgroup/memory || -e /sys/fs/cgroup/cgroup.controllers ]] || echo cgroupfs-mount
  fi
}

install_packages() {
  local packages
  mapfile -t packages < <(missing_packages "$@" | sort -u)
  ((${#packages[@]} > 0)) || return 0
  has apt-get || fail "missing: ${packages[*]}; install them with this system's package manager"
  is_root || fail "missing: ${packages[*]}; run: sudo apt-get update && sudo apt-get install -y ${packages[*]}"
  say "installing ${packages[*]}"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"; } \
    >"$cache/apt.log" 2>&1 || { tail -n 20 "$cache/apt.log" >&2; fail "apt-get failed; its output: $cache/apt.log"; }
}

check_rust() {
  has cargo || fail "Rust is missing; install it from https://rustup.rs, then run this again"
  local part
  for part in clippy fmt; do
    cargo "$part" --version >/dev/null 2>&1 || fail "cargo $part is missing; run: rustup component add clippy rustfmt"
  done
  has cargo-nextest || say "cargo-nextest is not installed; tests run with cargo test (faster: cargo install cargo-nextest --locked)"
}

start_engine() {
  is_root || fail "the Docker engine does not answer; run: sudo systemctl start docker   (without systemd: sudo dockerd &)
setup: and, if it runs already, let this user in: sudo usermod -aG docker $USER, then log in again"
  if has_systemd; then
    say "starting the Docker engine: systemctl start docker"
    systemctl start docker || fail "systemctl start docker failed; see: journalctl -u docker"
  else
    say "starting the Docker engine: dockerd (its log: $cache/dockerd.log)"
    if ! mountpoint -q /sys/fs/cgroup && has cgroupfs-mount; then cgroupfs-mount; fi
    # A killed engine leaves its pid file, and a later process may bear that number.
    if [[ -e $pid_file && $(cat "/proc/$(<"$pid_file")/comm" 2>/dev/null) != dockerd ]]; then rm -f "$pid_file"; fi
    setsid nohup dockerd >"$cache/dockerd.log" 2>&1 </dev/null &
  fi
  local deadline=$((SECONDS + ENGINE_START_SECONDS_MAX))
  until engine_answers; do
    if ((SECONDS >= deadline)); then
      [[ ! -e $cache/dockerd.log ]] || tail -n 20 "$cache/dockerd.log" >&2
      fail "the Docker engine did not answer within $ENGINE_START_SECONDS_MAX s"
    fi
    sleep 0.2
  done
}

# An engine that outlived its network (a machine restored from a snapshot, say) answers, but its containers reach nothing.
repair_bridge() {
  local bridge pid
  bridge=$(docker network inspect bridge --format '{{index .Options "com.docker.network.bridge.name"}}' 2>/dev/null || true)
  [[ $bridge == docker0 && -e $pid_file ]] && ! grep -q "^ *docker0:" /proc/net/dev || return 0
  pid=$(<"$pid_file")
  [[ $(cat "/proc/$pid/comm" 2>/dev/null) == dockerd ]] || return 0
  if ! is_root || [[ -n $(docker ps --quiet) ]]; then
    fail "the Docker engine has lost its network interface docker0; restart the engine (containers are running, or you are not root)"
  fi
  say "the Docker engine has lost its network interface docker0; restarting it"
  if has_systemd; then
    systemctl restart docker
  else
    kill "$pid"
    local deadline=$((SECONDS + ENGINE_START_SECONDS_MAX))
    while [[ -e /proc/$pid ]] && ((SECONDS < deadline)); do sleep 0.2; done
    start_engine
  fi
}

mkdir -p "$cache"
check_rust
install_packages "$@"
engine_answers || { engine_is_local || fail "the Docker engine at ${DOCKER_HOST:-$DOCKER_CONTEXT} does not answer"; start_engine; }
! engine_is_local || repair_bridge
say "ready: $(rustc --version | cut -d' ' -f1,2), Docker engine $(docker version --format '{{.Server.Version}}')"
