flows=$CASE/server/octo/flows
mkdir -p "$flows/.github/workflows" "$flows/act"
cat > "$flows/.github/workflows/outer.yml" <<'END'
on:
  workflow_call:
    inputs:
      who: { type: string, required: true }
      count: { type: number, default: 2 }
    outputs:
      greeting: { value: '${{ jobs.inner.outputs.greeting }}' }
jobs:
  inner:
    uses: ./.github/workflows/inner.yml
    with: { greeting: 'hello ${{ inputs.who }}, ${{ inputs.count }}' }
    secrets: inherit
END
cat > "$flows/.github/workflows/inner.yml" <<'END'
on:
  workflow_call:
    inputs:
      greeting: { type: string }
    outputs:
      greeting: { value: '${{ jobs.say.outputs.greeting }}' }
jobs:
  say:
    runs-on: ubuntu-latest
    outputs:
      greeting: ${{ steps.act.outputs.said }}
    steps:
      - id: act
        uses: $/act
        with: { word: '${{ inputs.greeting }}' }
      - run: |
          echo "${{ job.workflow_ref }} ${{ job.workflow_repository }} ${{ github.repository == job.workflow_repository }}"
          echo "${{ job.workflow_sha }}"
          echo "${{ secrets.TOKEN != '' }}"
END
cat > "$flows/act/action.yml" <<'END'
name: Act
inputs: { word: {} }
outputs:
  said: { value: '${{ steps.one.outputs.said }}' }
runs:
  using: composite
  steps:
    - id: one
      shell: sh
      env: { WORD: '${{ inputs.word }}' }
      run: echo "said=$WORD!" >> "$GITHUB_OUTPUT"
END
git -C "$flows" init --quiet --initial-branch main
git -C "$flows" add --all
git -C "$flows" commit --quiet --message flows
git -C "$flows" tag v1
