#!/usr/bin/env bash
# The official entry point's contract, written anew: POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB,
# POSTGRES_INITDB_ARGS, POSTGRES_HOST_AUTH_METHOD (each but the last also as NAME_FILE), PGDATA, and the files in
# /docker-entrypoint-initdb.d, run once on an empty data directory. The server runs as `postgres`, never as root.
set -euo pipefail

# NAME, or what the file NAME_FILE holds, or the default $2.
from_file_or_variable() {
  local name=$1 file=${1}_FILE
  if [[ -n ${!name:-} && -n ${!file:-} ]]; then
    echo "error: both $name and $file are set, but they exclude each other" >&2
    exit 1
  fi
  if [[ -n ${!file:-} ]]; then
    printf -v "$name" '%s' "$(<"${!file}")"
  else
    printf -v "$name" '%s' "${!name:-$2}"
  fi
  export "${name?}"
  unset "$file"
}

initialise() {
  from_file_or_variable POSTGRES_USER postgres
  from_file_or_variable POSTGRES_PASSWORD ''
  from_file_or_variable POSTGRES_DB "$POSTGRES_USER"
  from_file_or_variable POSTGRES_INITDB_ARGS ''
  if [[ -z $POSTGRES_PASSWORD && ${POSTGRES_HOST_AUTH_METHOD:-} != trust ]]; then
    echo "Error: Database is uninitialized and superuser password is not specified. Set POSTGRES_PASSWORD." >&2
    exit 1
  fi
  # Word splitting is wanted: the variable holds several arguments.
  # shellcheck disable=SC2086
  initdb --username "$POSTGRES_USER" --pwfile <(printf '%s\n' "$POSTGRES_PASSWORD") $POSTGRES_INITDB_ARGS
  local method=${POSTGRES_HOST_AUTH_METHOD:-$(postgres -C password_encryption)}
  printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"

  # While it is set up, the server listens on its socket only: `pg_isready -h` says no until all is done.
  PGUSER=$POSTGRES_USER pg_ctl -D "$PGDATA" -o "-c listen_addresses='' -p 5432" -w start
  export PGPASSWORD=$POSTGRES_PASSWORD
  local psql=(psql --no-psqlrc -v ON_ERROR_STOP=1 --username "$POSTGRES_USER")
  if [[ $POSTGRES_DB != postgres ]]; then
    "${psql[@]}" --dbname postgres --set db="$POSTGRES_DB" <<<'CREATE DATABASE :"db";'
  fi
  local file
  for file in /docker-entrypoint-initdb.d/*; do
    case $file in
      *.sh)
        # As the official one does: without the executable bit, a script is part of this shell.
        # shellcheck source=/dev/null
        if [[ -x $file ]]; then "$file"; else . "$file"; fi
        ;;
      *.sql) "${psql[@]}" --dbname "$POSTGRES_DB" --file "$file" ;;
      *.sql.gz) gunzip --stdout "$file" | "${psql[@]}" --dbname "$POSTGRES_DB" ;;
    esac
  done
  unset PGPASSWORD
  pg_ctl -D "$PGDATA" -m fast -w stop
  echo 'PostgreSQL init process complete; ready for start up.'
}

[[ ${1:-} != -* ]] || set -- postgres "$@"
if [[ ${1:-} == postgres ]]; then
  mkdir -p "$PGDATA"
  if [[ $(id -u) == 0 ]]; then
    chown postgres:postgres "$PGDATA" /var/run/postgresql
    chmod 700 "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
  fi
  chmod 700 "$PGDATA" 2>/dev/null || true
  [[ -s $PGDATA/PG_VERSION ]] || initialise
fi
exec "$@"
