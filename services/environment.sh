#!/usr/bin/env bash
# What an environment of the shop needs on this machine beside its services: a network, a database, a file of feature flags.
# Each call may be made again and changes nothing that is there.
#
#   environment.sh up ENVIRONMENT                 makes what is missing; secrets of each service go to SECRETS/SERVICE.env
#   environment.sh flag ENVIRONMENT NAME VARIANT  switches a feature flag, without a deployment
#   environment.sh flags ENVIRONMENT              shows them
#   environment.sh down ENVIRONMENT               removes the database with what is in it, the network, the flags
#
# SHOP_STATE is the folder for all environments (~/.local/state/shop), SECRETS that for secrets (./secrets). What Docker has of
# it is called SHOP_NAME-ENVIRONMENT (shop-production, shop-production-database): another name is another shop.
set -euo pipefail

DATABASE_IMAGE=postgres:15-bookworm
DATABASE_SECONDS_MAX=60
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

fail() { printf '::error::%s\n' "$*" >&2; exit 1; }
usage() { sed -n '/^#   /s/^#   //p' "${BASH_SOURCE[0]}" >&2; exit 2; }

command=${1:-}
environment=${2:-}
[[ $environment =~ ^[a-z][a-z0-9-]{0,30}$ ]] || usage
state=${SHOP_STATE:-${XDG_STATE_HOME:-$HOME/.local/state}/shop}/$environment
secrets=${SECRETS:-secrets}
# Services join it, so that they find the database by its name.
prefix=${SHOP_NAME:-shop}
network=$prefix-$environment
database=$prefix-$environment-database
flags=$state/flags/flags.json
password_is_new=no

network_up() {
  docker network inspect "$network" >/dev/null 2>&1 ||
    docker network create --label "org.pipe.shop=$prefix" "$network" >/dev/null ||
    docker network inspect "$network" >/dev/null
}

# The password is made once and never leaves this machine.
password_up() {
  [[ -s $state/password ]] && return 0
  (umask 077 && head -c 24 /dev/urandom | base64 -w 0 | tr -d '/+=' >"$state/password.new")
  mv "$state/password.new" "$state/password"
  password_is_new=yes
}

database_up() {
  local id
  id=$(docker ps --all --quiet --filter "name=^$database\$")
  if [[ -z $id ]]; then
    echo "Making the database of $environment"
    POSTGRES_PASSWORD=$(<"$state/password") docker run --detach --name "$database" --label "org.pipe.shop=$prefix" \
      --network "$network" --restart unless-stopped --volume "$database:/var/lib/postgresql/data" \
      --env POSTGRES_USER=shop --env POSTGRES_PASSWORD --env POSTGRES_DB=shop "$DATABASE_IMAGE" >/dev/null
  else
    docker start "$database" >/dev/null
    # A network that was made again since.
    docker network connect "$network" "$database" 2>/dev/null || true
  fi
  local deadline=$((SECONDS + DATABASE_SECONDS_MAX))
  # Over TCP: while it is being set up, it answers on its socket alone.
  until docker exec "$database" pg_isready --quiet --host 127.0.0.1 --username shop; do
    ((SECONDS < deadline)) || { docker logs --tail 20 "$database" >&2; fail "the database of $environment did not come up"; }
    sleep 0.2
  done
  # A database that outlived the folder with its password.
  [[ -z $id || $password_is_new == no ]] || printf "ALTER ROLE shop PASSWORD '%s'" "$(<"$state/password")" | sql -
  local name
  for name in products orders; do
    [[ $(sql "SELECT 1 FROM pg_database WHERE datname = '$name'" </dev/null) == 1 ]] || sql "CREATE DATABASE $name" </dev/null
  done
}

# A statement, or with - those on standard input.
sql() {
  local what=(--command "$1")
  [[ $1 != - ]] || what=()
  docker exec --interactive "$database" psql --quiet --no-align --tuples-only --username shop \
    ${what[@]+"${what[@]}"}
}

# Flags are the environment's: what somebody has set stays, also when a deployment comes. Those that are not in the file yet
# are what the code says.
flags_up() {
  mkdir -p "$(dirname "$flags")"
  chmod 755 "$(dirname "$flags")"
  [[ -s $flags ]] || write_flags <"$here/flags.json"
}

# Replaced as a whole, so that nobody reads half of it.
write_flags() {
  cat >"$flags.new"
  chmod 644 "$flags.new"
  mv "$flags.new" "$flags"
}

# What nobody may see, by service.
secrets_up() {
  local password name
  password=$(<"$state/password")
  printf '::add-mask::%s\n' "$password"
  mkdir -p "$secrets"
  for name in products orders frontend; do
    (umask 077 && : >"$secrets/$name.env")
  done
  for name in products orders; do
    echo "DATABASE_URL=postgresql://shop:$password@$database:5432/$name" >"$secrets/$name.env"
  done
}

case $command in
  up)
    mkdir -p "$state"
    network_up
    password_up
    database_up
    flags_up
    secrets_up
    echo "The environment $environment is there: network $network, database $database, flags $flags"
    if [[ -n ${GITHUB_OUTPUT:-} ]]; then
      printf 'network=%s\nflags=%s\n' "$network" "$(dirname "$flags")" >>"$GITHUB_OUTPUT"
    fi
    ;;
  flags)
    [[ -s $flags ]] || fail "there is no environment $environment in $(dirname "$state")"
    cat "$flags"
    ;;
  flag)
    name=${3:-} variant=${4:-}
    [[ -n $name && -n $variant ]] || usage
    [[ -s $flags ]] || fail "there is no environment $environment in $(dirname "$state")"
    # One flag is one block of lines in the form that this script keeps.
    awk -v name="$name" -v variant="$variant" '
      index($0, "\"" name "\": {") { inside = 1; found = 1 }
      inside && /"variants"/ && !index($0, "\"" variant "\":") { print "the flag " name " has no variant " variant > "/dev/stderr"; exit 3 }
      inside && /"defaultVariant"/ { sub(/"defaultVariant": *"[^"]*"/, "\"defaultVariant\": \"" variant "\""); inside = 0 }
      { print }
      END { if (!found) { print "there is no flag " name > "/dev/stderr"; exit 3 } }
    ' "$flags" >"$flags.next" || { rm -f "$flags.next"; fail "the flags of $environment stay as they were"; }
    write_flags <"$flags.next"
    rm -f "$flags.next"
    echo "$name of $environment is $variant"
    ;;
  down)
    docker rm --force --volumes "$database" >/dev/null 2>&1 || true
    docker volume rm "$database" >/dev/null 2>&1 || true
    docker network rm "$network" >/dev/null 2>&1 || true
    rm -rf "$state"
    ;;
  *) usage ;;
esac
