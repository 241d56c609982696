box=$CASE/server/octo/box
mkdir -p "$box"
cat > "$box/action.yml" <<'END'
name: Box
inputs:
  who: { default: nobody }
runs:
  using: docker
  image: Dockerfile
  args: ['${{ inputs.who }}', 'two words', '']
  env: { OWN: 'own ${{ inputs.who }}', GIVEN: never }
  pre-entrypoint: /pre.sh
  entrypoint: /main.sh
  post-entrypoint: /post.sh
END
# An image that no run before has built, and that the end of this case finds.
printf 'FROM python:3.11-slim-bookworm\nLABEL dev.pipe.test="%s"\nCOPY *.sh /\n' "$CASE" > "$box/Dockerfile"
printf 'LABEL dev.pipe.test="%s"\n' "$CASE" >> .github/actions/plain/Dockerfile
cat > "$box/pre.sh" <<'END'
#!/bin/sh
echo "before $1"
echo "pre=kept" >> "$GITHUB_STATE"
END
cat > "$box/main.sh" <<'END'
#!/bin/sh
printf '<%s>' "$@"; echo
echo "$INPUT_WHO, $OWN, $GIVEN, $STATE_pre, $GITHUB_ACTION_REPOSITORY"
pwd
echo "$HOME $GITHUB_WORKSPACE $RUNNER_TEMP $GITHUB_EVENT_PATH"
cat file "$RUNNER_TEMP/there"
head -c 1 "$GITHUB_EVENT_PATH"; echo
echo "said=$1" >> "$GITHUB_OUTPUT"
echo "FROM_BOX=from box" >> "$GITHUB_ENV"
echo "main=too" >> "$GITHUB_STATE"
echo "# Box" >> "$GITHUB_STEP_SUMMARY"
echo "::add-mask::not to be seen"
echo "not to be seen"
echo "::warning file=file,line=1::look here"
echo "written by $(id -u)" > written
echo temp > "$RUNNER_TEMP/box"
echo home > "$HOME/note"
ls /var/run/docker.sock 2> /dev/null || echo "no socket of the engine"
echo "token: ${ACTIONS_RUNTIME_TOKEN:+yes}, cache: '$ACTIONS_CACHE_SERVICE_V2'"
END
cat > "$box/post.sh" <<'END'
#!/bin/sh
echo "after $INPUT_WHO: $STATE_pre, $STATE_main, $(cat "$HOME/note")"
END
chmod +x "$box"/*.sh
git -C "$box" init --quiet --initial-branch main
git -C "$box" add --all
git -C "$box" commit --quiet --message box
