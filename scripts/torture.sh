#!/usr/bin/env bash
# A real server is killed with SIGKILL again and again in the middle of a run: a job in a container, one on this machine,
# one that needs both. Afterwards the run must be green, each line of output must be there exactly once, and no container
# may be left. Usage: torture.sh PATH_TO_PIPE [ROUNDS] [KILLS]     KILLS of each round, at random moments
set -euo pipefail
pipe=$(realpath "$1")
rounds=${2:-3}
kills=${3:-15}
lines=40
export GIT_CONFIG_GLOBAL=/dev/null GIT_TERMINAL_PROMPT=0
folder=$(mktemp -d)
server=

fail() {
    echo "torture: $*; what is there is kept in $folder" >&2
    trap - EXIT
    [[ -z $server ]] || kill -TERM "$server"
    exit 1
}

start() {
    rm -f "$here/told"
    mkfifo "$here/told"
    "$pipe" serve --data "$here/data" --listen 127.0.0.1:0 > "$here/told" 2>> "$here/server.log" &
    server=$!
    read -r _ _ url < "$here/told" || fail "the server did not start"
}

prepare() {
    mkdir -p "$here/work/.github/workflows" "$here/data"
    git init --quiet --bare --initial-branch=main "$here/bare.git"
    git init --quiet --initial-branch=main "$here/work"
    cat > "$here/work/.github/workflows/ci.yml" <<YAML
on: push
jobs:
  one:
    runs-on: ubuntu-latest
    steps:
      - run: for i in \$(seq $lines); do echo "line \$i"; sleep 0.1; done
      - run: echo "second step"
  two:
    runs-on: self-hosted
    steps:
      - run: for i in \$(seq $lines); do echo "line \$i"; sleep 0.1; done
  three:
    needs: [one, two]
    runs-on: ubuntu-latest
    steps:
      - run: echo "after both"
YAML
    git -C "$here/work" add -A
    git -C "$here/work" -c user.name=torture -c user.email=torture@invalid commit --quiet -m torture
    head -c 32 /dev/urandom | base64 -w 0 > "$here/secret"
    "$pipe" repo add "$here/bare.git" --name tests/torture --forge push --secret-file "$here/secret" --data "$here/data" \
        > "$here/added" 2>&1
    printf '[labels]\nself-hosted = "host"\n[queue]\nmax-jobs = 4\n' > "$here/data/pipe.toml"
}

# Of jobs, and those that jobs share.
networks() {
    for label in dev.pipe.owner dev.pipe.apart; do
        docker network ls --quiet --filter "label=$label"
    done | sort
}

times() {
    grep -c -- " $2\$\|^$2\$" "$here/$1.log" || true
}

round() {
    here=$folder/$1
    prepare
    start
    "$pipe" hook install "$here/bare.git" --server "$url" --repository tests/torture --secret-file "$here/secret" > "$here/hook"
    git -C "$here/work" push --quiet ../bare.git main 2> "$here/push"
    for _ in $(seq "$kills"); do
        sleep "0.$((RANDOM % 90 + 10))"
        kill -KILL "$server"
        wait "$server" 2> "$here/killed" || true
        start
    done
    timeout 120 "$pipe" watch 1 --data "$here/data" > "$here/watch" 2>&1 || fail "the run did not become green"
    for job in one two three; do
        "$pipe" logs 1 --job "$job" --data "$here/data" > "$here/$job.log"
    done
    for job in one two; do
        for i in $(seq "$lines"); do
            [[ $(times "$job" "line $i") == 1 ]] || fail "job $job has \`line $i\` $(times "$job" "line $i") times"
        done
    done
    [[ $(times one "second step") == 1 && $(times three "after both") == 1 ]] || fail "a step did not run exactly once"
    local runs
    runs=$("$pipe" runs --data "$here/data" --json | grep -o '"id": *[0-9]*' | sort -u | wc -l)
    [[ $runs == 1 ]] || fail "one push made $runs runs"
    kill -TERM "$server"
    wait "$server" || fail "the server did not end in order"
    server=
    # Whatever a job has been given lies in the server's folder.
    if docker ps --all --quiet | xargs --no-run-if-empty docker inspect | grep --quiet -- "$here/"; then
        fail "a container is left"
    fi
    [[ $(networks) == "$networks_before" ]] || fail "a network is left"
    [[ ! -e $here/data/ahead ]] || fail "something that was made ahead is left"
    echo "torture: round $1: killed $kills times; green, each line once, nothing left"
}

# To be run where no other pipe makes networks meanwhile.
networks_before=$(networks)
for number in $(seq "$rounds"); do
    round "$number"
done
rm -rf "$folder"
