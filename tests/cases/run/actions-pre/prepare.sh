make() {
  git -C "$1" init --quiet --initial-branch main
  git -C "$1" add --all
  git -C "$1" commit --quiet --message actions
  git -C "$1" tag v1
}
server=$CASE/server/octo
mkdir -p "$server/step" "$server/many/inner" "$server/picky" "$server/fails"
cd "$server"
cat > step/action.yml <<'END'
name: Step
inputs:
  word: { default: none }
runs: { using: node20, pre: pre.js, main: main.js, post: post.js }
END
cat > step/pre.js <<'END'
const { appendFileSync } = require('node:fs');
const { INPUT_WORD: word, SEEN, OWN } = process.env;
console.log(`pre of ${word}, seen ${SEEN}, own ${OWN}`);
appendFileSync(process.env.GITHUB_ENV, `SEEN=${SEEN ?? ''}[${word}]\n`);
appendFileSync(process.env.GITHUB_STATE, `pre=${word}\n`);
appendFileSync(process.env.GITHUB_OUTPUT, `out=never seen\n`);
END
cat > step/main.js <<'END'
const { env } = process;
console.log(`main of ${env.INPUT_WORD}, kept ${env.STATE_pre}, seen ${env.SEEN}`);
require('node:fs').appendFileSync(env.GITHUB_STATE, `main=${env.INPUT_WORD}\n`);
END
echo 'console.log(`post of ${process.env.INPUT_WORD}, kept ${process.env.STATE_pre} and ${process.env.STATE_main}`);' > step/post.js
printf 'name: Picky\nruns: { using: node20, pre: pre.js, pre-if: "runner.os == '"'Windows'"'", main: pre.js, post: pre.js }\n' > picky/action.yml
echo 'console.log(`picky, ${process.env.STATE_pre}`);' > picky/pre.js
printf 'name: Fails\nruns: { using: node20, pre: pre.js, main: pre.js }\n' > fails/action.yml
echo 'console.log("no good"); process.exit(3);' > fails/pre.js
cat > many/action.yml <<'END'
name: Many
inputs:
  word: { default: none }
runs:
  using: composite
  steps:
    - run: echo "between"
      shell: sh
    - id: first
      uses: octo/step@v1
      with: { word: '${{ inputs.word }} one' }
    - uses: octo/picky@v1
    - uses: octo/fails@v1
      continue-on-error: true
    - id: deeper
      uses: octo/many/inner@v1
END
cat > many/inner/action.yml <<'END'
name: Inner
runs:
  using: composite
  steps:
    - id: last
      uses: octo/step@v1
      with: { word: deep }
END
for name in step picky fails many; do make "$name"; done
