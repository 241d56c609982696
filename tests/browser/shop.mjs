// A repository whose runs leave something of everything that pages show: logs with groups, colours and errors, annotations,
// summaries, results of tests, artifacts, deployments, a review that is waited for.
import { until } from "./world.mjs";

const TESTS = `service=$1
cases() {
  echo '<testsuite name="'$service'" tests="4" time="2.4">'
  echo '<testcase classname="basket" name="adds what is chosen" time="0.21"/>'
  echo '<testcase classname="basket" name="survives a reload" time="1.62"/>'
  if [[ $service == orders && ! -e fixed ]]; then
    echo '<testcase classname="payment" name="late payment" time="0.43"><failure message="assertion failed: left == right">left: paid
right: late
    at services/orders/src/payment.js:42:9</failure></testcase>'
  else
    echo '<testcase classname="payment" name="late payment" time="0.41"/>'
  fi
  echo '<testcase classname="payment" name="refund" time="0.14"><skipped/></testcase></testsuite>'
}
cases > junit.xml
echo "::group::Install"
for name in express pg zod pino vitest; do printf '\\033[32m+\\033[0m %s\\n' "$name"; done
echo "::endgroup::"
printf '\\033[1mRUN\\033[0m  %s\\n' "$service"
for number in $(seq 1 40); do printf ' \\033[32m✓\\033[0m case %s of %s\\n' "$number" "$service"; done
\${PACE:-true} "$((RANDOM % 3 + 1))"
if [[ $service == orders && ! -e fixed ]]; then
  printf ' \\033[31m✗ late payment\\033[0m\\n'
  echo "::error file=services/orders/src/payment.js,line=42,title=late payment::assertion failed: left == right"
  exit 1
fi
printf '\\033[32m43 passed\\033[0m\\n'
`;

/** The workflow. `pace` is a command that takes seconds, for times that differ. */
const shop = (pace) => `name: Shop
on:
  push:
    branches: [main]
env:
  PACE: "${pace}"
jobs:
  lint:
    name: Lint
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: Check the style
        run: |
          $PACE 1
          echo "::group::Tools"
          echo "eslint 9.31"
          echo "::endgroup::"
          echo "::warning file=services/orders/src/app.js,line=14,title=Unused variable::total is never read"
  test:
    name: Test \${{ matrix.service }}
    runs-on: ubuntu-latest
    strategy:
      fail-fast: false
      matrix:
        service: [frontend, orders, products]
    steps:
      - uses: actions/checkout@v4
      - name: Test
        run: bash test.sh \${{ matrix.service }}
      - name: Report
        if: always()
        uses: pipe/test-report@v1
        with:
          files: junit.xml
  build:
    name: Build
    needs: [lint, test]
    runs-on: ubuntu-latest
    outputs:
      image: \${{ steps.image.outputs.digest }}
    steps:
      - uses: actions/checkout@v4
      - id: image
        name: Build the images
        run: |
          $PACE 3
          mkdir -p out && echo shop > out/shop.txt
          echo "digest=sha256:$(sha256sum test.sh | cut -d' ' -f1)" >> "$GITHUB_OUTPUT"
          {
            echo "### Images"
            echo
            echo "| service | size |"
            echo "|---|---:|"
            for service in frontend orders products; do echo "| $service | 48 MB |"; done
            echo
            echo "###### Small print"
            echo
            echo "- [x] reproducible"
          } >> "$GITHUB_STEP_SUMMARY"
      - uses: actions/upload-artifact@v4
        with:
          name: images
          path: out
  staging:
    name: Deploy to staging
    needs: build
    runs-on: ubuntu-latest
    environment:
      name: staging
      url: https://staging.shop.example
    steps:
      - run: $PACE 1; echo deployed
  production:
    name: Deploy to production
    needs: [build, staging]
    runs-on: ubuntu-latest
    environment:
      name: production
      url: https://shop.example
    steps:
      - run: $PACE 1; echo deployed
`;

const release = `name: Release
run-name: Release \${{ inputs.version }}
on:
  workflow_dispatch:
    inputs:
      version:
        description: Version to release
        required: true
      services:
        description: How many services
        type: number
        default: 3
      dry-run:
        description: Only show what would happen
        type: boolean
        default: true
      channel:
        description: Who gets it
        type: choice
        options: [stable, beta]
        default: beta
      where:
        description: Where it goes
        type: environment
jobs:
  release:
    name: Release
    runs-on: ubuntu-latest
    steps:
      - name: Inputs
        env:
          INPUTS: \${{ toJSON(inputs) }}
        run: echo "$INPUTS" | tr -d '\\n'; echo
`;

/** A workflow that wants a review of production, and nothing else. */
export const SHIP = `name: Ship
on: { push: { branches: [main] } }
jobs:
  ship:
    name: Ship
    runs-on: ubuntu-latest
    environment: production
    steps:
      - run: echo deployed
`;

export const RULES = `
[environments.staging]
[environments.production]
reviewers = ["*"]
prevent-self-review = false
`;

export function files(pace = "true") {
  return {
    ".github/workflows/shop.yml": shop(pace),
    ".github/workflows/release.yml": release,
    "test.sh": TESTS,
    "README.md": "# Shop\n",
    "migrations/0001_orders.sql": "create table orders (id integer primary key);\n",
  };
}

/** A run that failed, and one whose last job waits for a review. */
export async function fill(world, pace) {
  const failed = await world.runOf(await world.push(files(pace), { message: "orders: a payment that is late is no failure" }));
  await world.over(failed.id);
  const fixed = { fixed: "", "migrations/0002_payments.sql": "alter table orders add paid_at text;\n" };
  const waiting = await world.runOf(await world.push(fixed, { message: "orders: late payments are booked when they come" }));
  await world.when(waiting.id, "a review is waited for", (one) => one.status === "waiting");
  // The server notes them a moment after the run.
  const deployment = (await until("a deployment", async () => (await world.get("/api/v1/deployments")).deployments[0])).id;
  return { failed, waiting, deployment };
}
