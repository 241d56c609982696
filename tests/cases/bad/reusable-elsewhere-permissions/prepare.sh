flows=$CASE/server/octo/flows
mkdir -p "$flows/.github/workflows"
printf 'on: workflow_call\npermissions: write-all\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps: [{ run: echo never }]\n' > "$flows/.github/workflows/a.yml"
git -C "$flows" init --quiet --initial-branch main
git -C "$flows" add --all
git -C "$flows" commit --quiet --message flows
git -C "$flows" tag v1
