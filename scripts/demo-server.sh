#!/usr/bin/env bash
# The second half of `make demo`: a server hears of a push to a bare repository, builds the shop, and waits for a person
# before production. The server stays until `make demo-stop`, or until the next demo.
# Usage: demo-server.sh PATH_TO_PIPE FOLDER     what is kept between demos lies in FOLDER
#        demo-server.sh stop FOLDER
set -euo pipefail
folder=$2
repository=demo/shop
mkdir -p "$folder"
folder=$(realpath "$folder")
data=$folder/server
bare=$folder/shop.git

# Only a process that still is our server: a number may have gone to another one.
stop() {
    local server
    [[ -e $folder/server.pid ]] || return 0
    server=$(cat "$folder/server.pid")
    if tr '\0' ' ' < "/proc/$server/cmdline" 2> /dev/null | grep --quiet --fixed-strings -- "serve --data $data "; then
        kill -TERM "$server"
        tail --pid="$server" --follow /dev/null
    fi
    rm -f "$folder/server.pid"
}
stop
if [[ $1 == stop ]]; then
    exit
fi
pipe=$(realpath "$1")

# Here and not in the project: a demo must not change what it shows. Git asks nobody and uses no settings of the user.
export GIT_CONFIG_GLOBAL=/dev/null GIT_TERMINAL_PROMPT=0

if [[ ! -e $folder/ready-3 ]]; then
    rm -rf "$data" "$bare" "$folder"/ready*
    git init --quiet --bare --initial-branch=main "$bare"
    (umask 077 && head -c 32 /dev/urandom | base64 -w 0 > "$folder/hook-secret")
    "$pipe" repo add "$bare" --name "$repository" --forge push --secret-file "$folder/hook-secret" --data "$data" \
        > /dev/null
    (umask 077 && "$pipe" token create demo --scope runs:read --scope dispatch --data "$data" --json > "$folder/token.json" &&
        sed -n 's/.*"token": *"\([^"]*\)".*/\1/p' "$folder/token.json" > "$folder/token")
    printf on | "$pipe" var set PRODUCTION --data "$data" > /dev/null
    printf '[environments.production]\nreviewers = ["*"]    # everybody whose role allows it\n' > "$data/pipe.toml"
    touch "$folder/ready-3"
fi

mkfifo "$folder/told.$$"
setsid "$pipe" serve --data "$data" --listen 127.0.0.1:0 \
    < /dev/null > "$folder/told.$$" 2> "$folder/server.log" &
server=$!
echo "$server" > "$folder/server.pid"
exec 3< "$folder/told.$$"
rm -f "$folder/told.$$"
# It says where it listens as its first line, or ends. A second one is for who has never signed in.
if ! read -r _ _ url <&3; then
    cat "$folder/server.log" >&2
    rm -f "$folder/server.pid"
    exit 6
fi
first=
read -r -t 2 first <&3 || true
first=$(sed -n 's/.*"url": *"\([^"]*\)".*/\1/p' <<< "$first")
ask=(--server "$url" --token-file "$folder/token")

"$pipe" hook install "$bare" --server "$url" --repository "$repository" --secret-file "$folder/hook-secret" > /dev/null
commit=$(git rev-parse HEAD)
run_of_commit() {
    "$pipe" runs "${ask[@]}" --sha "$commit" "$@" --json -n 1 | sed -n 's/.*"id": *\([0-9]*\).*/\1/p' | head -n 1
}
run=$(run_of_commit --status waiting)
if [[ -z $run ]]; then
    # What a demo before left waiting would keep this one waiting too: they are of one concurrency group.
    for status in queued waiting in_progress; do
        for old in $("$pipe" runs "${ask[@]}" --status "$status" --json -n 50 | sed -n 's/^ *"id": *\([0-9]*\).*/\1/p'); do
            "$pipe" cancel "$old" --data "$data" > /dev/null
        done
    done
fi
[[ -n $run ]] || run=$(run_of_commit)
if [[ -n $run ]]; then
    printf '\nA server on %s has built %s before:\n' "$url" "${commit:0:7}"
    "$pipe" show "$run" "${ask[@]}"
else
    printf '\nA server listens on %s. Pushing %s to it, as to any git server:\n' "$url" "${commit:0:7}"
    git push --quiet --force "$bare" HEAD:refs/heads/main
    # The push is told and kept before git returns; its run is there once the server has fetched the commit.
    for _ in {1..200}; do
        run=$(run_of_commit)
        [[ -z $run ]] || break
        sleep 0.1
    done
    if [[ -z $run ]]; then
        echo "the server has no run of $commit:" >&2
        cat "$folder/server.log" >&2
        exit 1
    fi
    "$pipe" watch "$run" --until-review "${ask[@]}"
fi

waits() { "$pipe" show "$run" "${ask[@]}" --json | grep --quiet '"status": *"waiting"'; }
if ! waits; then
    # What was approved before has changed nothing since: all of it is built again, as the button of the page does.
    printf '\nNothing of it is left to be built, so the workflow is started by hand, for every service:\n'
    run=$("$pipe" dispatch --repo "$repository" shop.yml --input all=true "${ask[@]}" --json |
        tr -d ' \n' | sed -n 's/.*"runs":\[\([0-9]*\).*/\1/p')
    "$pipe" watch "$run" --until-review "${ask[@]}"
fi

printf '\nThe server stays; `make demo-stop` ends it.\n'
if [[ -n $first ]]; then
    printf '  sign in once      %s\n' "$first"
fi
if waits; then
    printf '  approve           %s/runs/%s/review/production\n' "$url" "$run"
    printf '  then watch it     %s/runs/%s    or: %s watch %s %s\n' "$url" "$run" "$pipe" "$run" "${ask[*]}"
else
    printf '  the run           %s/runs/%s\n' "$url" "$run"
fi
