server=$CASE/server/actions/setup-python
mkdir -p "$server"
cat > "$server/action.yml" <<'END'
name: Setup Python
inputs:
  python-version: {}
outputs:
  python-version: { value: 'of its repository' }
runs:
  using: composite
  steps:
    - shell: sh
      run: echo "asked for ${{ inputs.python-version }}"
END
git -C "$server" init --quiet --initial-branch main
git -C "$server" add --all
git -C "$server" commit --quiet --message action
git -C "$server" tag v6
