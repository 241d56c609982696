make() {
  git -C "$1" init --quiet --initial-branch main
  git -C "$1" add --all
  git -C "$1" commit --quiet --message actions
}
server=$CASE/server/octo
mkdir -p "$server/say" "$server/tools/nested/both" "$server/tools/wrong" "$server/tools/itself"
cd "$server"
cat > say/action.yml <<'END'
name: Say
inputs:
  word: { required: true }
  from: { default: '${{ github.action_repository }}' }
runs: { using: node20, pre: pre.js, main: main.js, post: post.js }
END
cat > say/pre.js <<'END'
console.log('before');
require('node:fs').appendFileSync(process.env.GITHUB_STATE, 'pre=from pre\n');
END
cat > say/main.js <<'END'
const { env } = process;
console.log(`${env.INPUT_WORD} from ${env.INPUT_FROM}, ${env.GITHUB_ACTION_REPOSITORY}@${env.GITHUB_ACTION_REF}, ${env.STATE_pre}`);
console.log(__dirname.slice(-'_actions/octo/say/v1'.length));
require('node:fs').writeFileSync(`${__dirname}/written`, 'beside it');
require('node:fs').appendFileSync(env.GITHUB_OUTPUT, `said=${env.INPUT_WORD}\n`);
require('node:fs').appendFileSync(env.GITHUB_STATE, 'main=from main\n');
END
echo 'console.log(`after ${process.env.INPUT_WORD}: ${process.env.STATE_pre}, ${process.env.STATE_main}`);' > say/post.js
ln -s /etc/passwd say/outside
cat > tools/nested/both/action.yml <<'END'
name: Both
outputs:
  said: { value: '${{ steps.one.outputs.said }}' }
runs:
  using: composite
  steps:
    - id: one
      uses: octo/say@v1
      with: { word: nested }
    - shell: sh
      run: |
        cat "$GITHUB_ACTION_PATH/file"
        ls "$GITHUB_ACTION_PATH/../../../../say/v1"
        echo "'$GITHUB_ACTION_REPOSITORY' ${{ github.action_repository }} ${{ github.action_ref }}"
END
echo content > tools/nested/both/file
printf 'name: Wrong\nruns:\n  using: node18\n  main: x.js\n' > tools/wrong/action.yml
printf 'name: Itself\nruns:\n  using: composite\n  steps:\n    - uses: octo/tools/itself@main\n' > tools/itself/action.yml
make say
git -C say tag v1
git -C say tag --annotate --message late late
make tools
