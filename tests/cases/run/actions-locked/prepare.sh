server=$CASE/server/octo
mkdir -p "$server/say"
printf 'name: Say\nruns: { using: node20, main: main.js }\n' > "$server/say/action.yml"
echo 'console.log("said");' > "$server/say/main.js"
git -C "$server/say" init --quiet --initial-branch main
git -C "$server/say" add --all
git -C "$server/say" commit --quiet --message one
git -C "$server/say" tag v1
id=$(git -C "$server/say" rev-parse HEAD)
tree=$(git -C "$server/say" rev-parse 'HEAD^{tree}')
printf 'octo/say@v1 %s %s\nocto/say@main %s %s\n' "$id" "$tree" "$id" "$tree" > .github/pipe.lock
echo 'console.log("changed");' > "$server/say/main.js"
git -C "$server/say" commit --quiet --all --message two
git -C "$server/say" branch late
