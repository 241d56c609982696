# shellcheck shell=bash disable=SC2154
# What the demo's acts are made of. Sourced by demo-server.sh, which says $folder and $pipe.
# Every expectation that is not met ends the demo with a code other than 0.

repository=demo/shop
data=$folder/server
bare=$folder/shop.git
work=$folder/work
PRODUCTION_PORT=8093
ENVIRONMENTS=(dev staging production)
# Another shop than the one that this machine may have.
export SHOP_NAME=shop-demo SHOP_STATE=$folder/shop
# Requests a second. Few enough for a laptop on which other things go on.
LOAD_RATE=${PIPE_DEMO_RATE:-100}
# The fast clock: what takes a quarter of an hour otherwise. A step is over when its time is and enough is known: some
# 300 requests of the new version without an error.
STEPS='[{weight: 10, for: 15s, analyse: true}, {weight: 50, for: 15s, analyse: true}, {weight: 100, bake: 10s}]'
ANALYSIS='{metrics: [errors], min-requests: 30, inconclusive: extend, max-extend: 20m}'
declare -A version_of
load=

# Here and not in the project: a demo must not change what it shows. Git asks nobody and uses no settings of the user.
export GIT_CONFIG_GLOBAL=/dev/null GIT_TERMINAL_PROMPT=0

# With colours at a terminal.
bold='' green='' red='' plain=''
[[ ! -t 1 ]] || { bold=$'\033[1m' green=$'\033[32m' red=$'\033[31m' plain=$'\033[0m'; }
title() { printf '\n%s── %s%s\n' "$bold" "$*" "$plain"; }
told() { printf '%s✓%s %s\n' "$green" "$plain" "$*"; }
fail() { printf '%sdemo: %s%s\n' "$red" "$*" "$plain" >&2; exit 1; }
expect() { [[ $1 == "$2" ]] || fail "$3: $1, and should be $2"; }
expect_more() { (($1 > $2)) || fail "$3: $1, and should be more than $2"; }
percent() { awk -v part="$1" -v whole="$2" 'BEGIN { printf "%.0f %%", whole ? 100 * part / whole : 0 }'; }

# Only a process that still is what we started: a number may have gone to another one.
end_process() {
    local file=$1 words=$2 process
    [[ -e $file ]] || return 0
    process=$(<"$file")
    if [[ $process =~ ^[0-9]+$ ]] && tr '\0' ' ' <"/proc/$process/cmdline" 2>/dev/null | grep --quiet --fixed-strings -- "$words"; then
        kill -TERM "$process"
        tail --pid="$process" --follow /dev/null
    fi
    rm -f "$file"
}

# Everything that a demo made: load, server, proxies, containers, networks, volumes, files.
stop() {
    local file environment installation name
    end_process "$folder/load.pid" "load.mjs"
    end_process "$folder/server.pid" "serve --data $data "
    for file in "$data"/proxies/*/proxy.pid; do
        [[ ! -e $file ]] || end_process "$file" "$data/proxies/"
    done
    for installation in $(deployed); do
        for name in $(docker ps --all --quiet --filter "label=dev.pipe.deploy.installation=$installation"); do
            docker rm --force --volumes "$name" >/dev/null
        done
        for name in $(docker network ls --quiet --filter "label=dev.pipe.deploy.installation=$installation"); do
            docker network rm "$name" >/dev/null
        done
    done
    for environment in "${ENVIRONMENTS[@]}"; do
        services/environment.sh down "$environment"
    done
    rm -rf "$data" "$bare" "$work" "$folder"/*.json "$folder"/*.log "$folder/token" "$folder/hook-secret"
}

# What the demo's server has deployed: containers of the environments' networks say which installation it is.
deployed() {
    local environment installation
    for environment in "${ENVIRONMENTS[@]}"; do
        docker ps --all --quiet --filter "network=$SHOP_NAME-$environment" --filter label=dev.pipe.deploy.installation
    done | xargs --no-run-if-empty docker inspect --format '{{index .Config.Labels "dev.pipe.deploy.installation"}}' |
        sort --unique
}

begin() {
    git init --quiet --bare --initial-branch=main "$bare"
    git clone --quiet "file://$PWD" "$work" 2>/dev/null || git clone --quiet . "$work"
    (umask 077 && head -c 32 /dev/urandom | base64 -w 0 >"$folder/hook-secret")
    "$pipe" repo add "$bare" --name "$repository" --forge push --secret-file "$folder/hook-secret" --data "$data" >/dev/null
    (umask 077 && "$pipe" token create demo --scope runs:read --scope runs:write --scope reviews:write --scope dispatch --scope deploy \
        --data "$data" --json | sed -n 's/.*"token": *"\([^"]*\)".*/\1/p' >"$folder/token")
    variable DEPLOY on
    variable ROLLOUT_STEPS "$STEPS"
    variable ROLLOUT_ANALYSIS "$ANALYSIS"
    variable SHOP_STATE "$SHOP_STATE"
    variable SHOP_NAME "$SHOP_NAME"
    variable SCAN_DB services/advisories
    variable SCAN_GATE services/advisories/gate.yml
    cat >"$data/pipe.toml" <<TOML
[environments.dev]
[environments.staging]
[environments.production]
reviewers = ["*"]    # everybody whose role allows it
TOML
    serve
    "$pipe" hook install "$bare" --server "$url" --repository "$repository" --secret-file "$folder/hook-secret" >/dev/null
    echo "A server listens on $url"
    [[ -z $first ]] || echo "Sign in once: $first"
}

variable() { printf '%s' "$2" | "$pipe" var set "$1" --data "$data" >/dev/null; }

serve() {
    local server
    mkfifo "$folder/told.$$"
    setsid "$pipe" serve --data "$data" --listen 127.0.0.1:0 </dev/null >"$folder/told.$$" 2>"$folder/server.log" &
    server=$!
    echo "$server" >"$folder/server.pid"
    exec 3<"$folder/told.$$"
    rm -f "$folder/told.$$"
    # It says where it listens as its first line, or ends. A second one is for who has never signed in.
    if ! read -r _ _ url <&3; then
        cat "$folder/server.log" >&2
        fail "the server did not start"
    fi
    first=
    read -r -t 2 first <&3 || true
    first=$(sed -n 's/.*"url": *"\([^"]*\)".*/\1/p' <<<"$first")
    ask=(--server "$url" --token-file "$folder/token")
}

# What is left over when the demo fails, and why.
end() {
    [[ -z $load ]] || end_process "$folder/load.pid" "load.mjs"
    if (($1 != 0)); then
        printf '\nThe demo failed. What it made stays for a look; "make demo-stop" removes it.\n' >&2
        [[ ! -s $folder/server.log ]] || printf '  the server'\''s log  %s\n' "$folder/server.log" >&2
    fi
}

# A commit in the demo's own copy, made by a patch.
commit() {
    local name=$1 message=$2
    git -C "$work" apply --index "$PWD/scripts/demo/$name.patch" || fail "scripts/demo/$name.patch fits the shop no more"
    git -C "$work" -c user.name=Demo -c user.email=demo@example.org commit --quiet --message "$message"
    git -C "$work" tag --force "$name" >/dev/null
}

# Pushes a version, follows its run to the review and to its end, and expects the end that is named.
deploy() {
    local name=$1 what=$2 end=${3:-succeeded} commit run code=0
    commit=$(git -C "$work" rev-parse "$what^{commit}")
    version_of[$name]=${commit:0:7}
    [[ $name != first ]] || version_of[v1]=${commit:0:7}
    echo "Pushing ${commit:0:7} ($(git -C "$work" log -1 --format=%s "$commit"))"
    # Who pushes may not approve, and whoever sits here does.
    PIPE_PUSHER=developer git -C "$work" push --quiet --force "$bare" "$commit:refs/heads/main"
    # The push is told and kept before git returns; its run is there once the server has fetched the commit.
    for _ in {1..300}; do
        run=$("$pipe" runs "${ask[@]}" --sha "$commit" --json -n 1 | sed -n 's/.*"id": *\([0-9]*\).*/\1/p' | head -n 1)
        [[ -z $run ]] || break
        sleep 0.1
    done
    [[ -n $run ]] || { cat "$folder/server.log" >&2; fail "the server has no run of $commit"; }
    follow "$run" --until-review || fail "the run $run did not come to its review"
    waits "$run" || fail "the run $run does not wait for a review of production"
    [[ $name == first ]] || load_begins
    approve "$run"
    follow "$run" || code=$?
    if [[ $end == succeeded ]]; then
        ((code == 0)) || fail "the run $run failed"
    else
        ((code == 1)) || fail "the run $run should have failed by its roll-back, and ended with $code"
    fi
}

# Starts a workflow by hand, and follows its run to its end.
dispatch() {
    local less=()
    [[ -t 1 ]] || less=(--quiet)
    "$pipe" dispatch "$@" --repo "$repository" --watch ${less[@]+"${less[@]}"} "${ask[@]}" || fail "$1 failed"
}

# Live at a terminal; elsewhere the ends of jobs.
follow() {
    local less=()
    [[ -t 1 ]] || less=(--quiet)
    "$pipe" watch "$@" ${less[@]+"${less[@]}"} "${ask[@]}"
}

waits() { "$pipe" show "$1" "${ask[@]}" --json | grep --quiet '"status": *"waiting"'; }

approve() {
    local run=$1
    printf '\nProduction waits for somebody to approve it: %s/runs/%s/review/production\n' "$url" "$run"
    if [[ -t 0 && -z ${PIPE_DEMO_APPROVE:-} ]]; then
        echo "Approve it there, or press Enter here."
        while waits "$run"; do
            if read -r -t 1; then break; fi
        done
        waits "$run" || return 0
    else
        echo "Nobody sits here, so: pipe approve $run production"
    fi
    "$pipe" approve "$run" production -m "approved in the demo" "${ask[@]}" >/dev/null
}

load_begins() {
    # Begun by itself, so that it is one process with one number.
    setsid tests/shop/run.sh load "http://127.0.0.1:$PRODUCTION_PORT" --rate "$LOAD_RATE" --open 6 >"$folder/load.log" 2>&1 </dev/null &
    load=$!
    echo "$load" >"$folder/load.pid"
    echo "From now on visitors come, up to $LOAD_RATE requests a second, to http://127.0.0.1:$PRODUCTION_PORT"
}

load_ends() {
    kill -TERM "$load"
    wait "$load" || fail "the load ended badly: $(tail -n 5 "$folder/load.log")"
    load=
    rm -f "$folder/load.pid"
    tail -n 1 "$folder/load.log" >"$folder/load-$1.json"
    report=$folder/load-$1.json
}

figure() { tests/shop/run.sh figure "$1" <"$report"; }
of_version() { figure "services.orders.versions.${version_of[$1]}.$2"; }

# Everybody gets this version of orders, and nobody another one.
expect_versions() {
    local found
    found=$(tests/shop/run.sh versions "http://127.0.0.1:$PRODUCTION_PORT/api/orders/health" 100)
    expect "$found" "{\"${version_of[$1]}\":100}" "versions of 100 answers in production"
}

# Within the time in which services look at their flags.
expect_page() {
    local page
    for _ in {1..50}; do
        page=$(tests/shop/run.sh page "http://127.0.0.1:$PRODUCTION_PORT/products/1")
        [[ $page != *"$1"* ]] || return 0
        sleep 0.2
    done
    fail "the page of a product has not $2 ($1)"
}

# Something of the newest rollout of orders in production, as the server's API tells it.
rollout() {
    local query="environment=production&service=orders&limit=1"
    AUTHORIZATION="Bearer $(<"$folder/token")" tests/shop/run.sh page "$url/api/v1/rollouts?$query" |
        tests/shop/run.sh figure "rollouts.0.view.$1"
}

expect_outcome() { expect "$(rollout outcome)" "$1" "how the rollout ended"; }

# Which shares it had, in percent: those of the steps that were begun.
expect_weights() {
    local weights states had=() index
    weights=$(rollout 'steps.*.weight' | tr -d '[]' | tr ',' ' ')
    read -r -a states <<<"$(rollout 'steps.*.state' | tr -d '[]"' | tr ',' ' ')"
    index=0
    for weight in $weights; do
        case ${states[index]} in passed | failed | running) had+=($((weight / 10))) ;; esac
        index=$((index + 1))
    done
    expect "${had[*]}" "$1" "shares of the new version in percent"
}

where_to_look() {
    cat <<TEXT

All of it was as it should be. The server and the shop stay; \`make demo-stop\` ends them.
  the shop          http://127.0.0.1:$PRODUCTION_PORT
  the pages         $url${first:+    sign in once: $first}
  production        $url/environments/production
  why it went back  $pipe deploy explain production --service orders --server $url --token-file $folder/token
  a flag            SHOP_NAME=$SHOP_NAME SHOP_STATE=$SHOP_STATE services/environment.sh flag production take-orders off
  a roll-back       $pipe deploy rollback production --service orders --server $url --token-file $folder/token
  figures           $folder/load-v2.json, $folder/load-v3.json
TEXT
}
