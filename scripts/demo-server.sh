#!/usr/bin/env bash
# The second half of `make demo`: a server hears of a push to a bare repository and builds the shop.
# Usage: demo-server.sh PATH_TO_PIPE FOLDER     what is kept between demos lies in FOLDER
set -euo pipefail
pipe=$(realpath "$1")
folder=$2
repository=demo/shop
mkdir -p "$folder"
folder=$(realpath "$folder")
data=$folder/server
bare=$folder/shop.git

# Here and not in the project: a demo must not change what it shows. Git asks nobody and uses no settings of the user.
export GIT_CONFIG_GLOBAL=/dev/null GIT_TERMINAL_PROMPT=0

if [[ ! -e $folder/ready ]]; then
    rm -rf "$data" "$bare"
    git init --quiet --bare --initial-branch=main "$bare"
    (umask 077 && head -c 32 /dev/urandom | base64 -w 0 > "$folder/hook-secret")
    "$pipe" repo add "$bare" --name "$repository" --forge push --secret-file "$folder/hook-secret" --data "$data" \
        > /dev/null
    (umask 077 && "$pipe" token create demo --scope runs:read --data "$data" --json > "$folder/token.json" &&
        sed -n 's/.*"token": *"\([^"]*\)".*/\1/p' "$folder/token.json" > "$folder/token")
    touch "$folder/ready"
fi

mkfifo "$folder/told.$$"
"$pipe" serve --data "$data" --listen 127.0.0.1:0 > "$folder/told.$$" 2> "$folder/server.log" &
server=$!
stop() {
    kill -TERM "$server" 2> /dev/null || true
    wait "$server" || true
}
trap stop EXIT
# It says where it listens as its first line, or ends.
if ! read -r _ _ url < "$folder/told.$$"; then
    cat "$folder/server.log" >&2
    exit 6
fi
rm -f "$folder/told.$$"
ask=(--server "$url" --token-file "$folder/token")

"$pipe" hook install "$bare" --server "$url" --repository "$repository" --secret-file "$folder/hook-secret" > /dev/null
commit=$(git rev-parse HEAD)
run_of_commit() {
    "$pipe" runs "${ask[@]}" --sha "$commit" --json -n 1 | sed -n 's/.*"id": *\([0-9]*\).*/\1/p' | head -n 1
}
run=$(run_of_commit)
if [[ -n $run ]]; then
    printf '\nA server on %s has built %s before:\n' "$url" "${commit:0:7}"
    "$pipe" show "$run" "${ask[@]}"
    exit
fi
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
"$pipe" watch "$run" "${ask[@]}"
