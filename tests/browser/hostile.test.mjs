// Texts that try to be more than text (U01), in every place where somebody else's text is shown: no script runs, nothing is
// asked of others, and the content security policy has nothing to do.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { close, open, shared, signIn } from "./chromium.mjs";
import { addresses, routes } from "./pages.mjs";
import { World, until } from "./world.mjs";

const held = shared();
let world, filled;

const TEXTS = [
  "<script>alert(1)</script>",
  "\"><img src=x onerror=alert(1)>",
  "' onmouseover='alert(1)' autofocus onfocus='alert(2)",
  "</title><svg onload=alert(1)>",
  "</textarea></style></noscript><iframe src=javascript:alert(1)>",
  "<a href=\"javascript:alert(1)\" id=clobber name=csrf>x</a>",
  "{{ 7*7 }}{% for i in range(10) %}x{% endfor %}",
  "<!--><script>alert(1)</script>-->",
  "<hx-partial hx-target=\"body\">x</hx-partial><div hx-get=\"/x\" hx-trigger=\"load\" data-do=theme>",
  "\u202egpj.exe\u2066\u200b",
  "&lt;script&gt;alert(1)&lt;/script&gt;",
  "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
  "<meta http-equiv=refresh content=0;url=https://evil.example/><base href=https://evil.example/>",
  "<details open ontoggle=alert(1)><video><source onerror=alert(1)></video>",
  "<link rel=stylesheet href=https://evil.example/x.css><style>*{display:none}</style>",
];
const MARKDOWN = [
  ...TEXTS,
  "[x](javascript:alert(1)) [y](JaVaScRiPt:alert(1)) [z](data:text/html,<script>alert(1)</script>) [v](vbscript:x)",
  "![x](https://evil.example/pixel.png) ![y](x\" onerror=\"alert(1))",
  "<a href=\"&#106;avascript:alert(1)\">x</a> <form action=https://evil.example/><input name=csrf><button>go</button></form>",
  "[x]: javascript:alert(1)\n[x]",
];
const LOG = [
  ...TEXTS,
  "\u001b]8;;javascript:alert(1)\u001b\\click\u001b]8;;\u001b\\",
  "\u001b]8;;data:text/html,<script>alert(1)</script>\u0007click\u001b]8;;\u0007",
  "\u001b]8;;https://example.org/\" onclick=\"alert(1)\u001b\\click\u001b]8;;\u001b\\",
  "\u001b[31m<b onclick=alert(1)>\u001b[0m \u001b]52;c;AAAA\u0007\u001b[2J\u001b[1;1H",
  "javascript:alert(1) https://example.org/?\"onmouseover=alert(1)//",
];

/** The texts in a few groups: each page is looked at once a group. */
const GROUPS = [0, 1, 2].map((group) => TEXTS.filter((_, at) => at % 3 === group));
const quoted = JSON.stringify;
/** A workflow whose names are texts. Tokens of expressions are text here. */
const workflow = (texts, number) => {
  const clean = (text) => text.replaceAll("{{", "{ {").replaceAll("{%", "{ %");
  const plain = clean(texts.join(" "));
  return `name: ${quoted(`${plain} ${number}`)}
run-name: ${quoted(plain)}
on: push
jobs:
  hostile:
    name: ${quoted(`${texts.length} \${{ matrix.leg }}`)}
    runs-on: ubuntu-latest
    strategy:
      fail-fast: false
      matrix:
        leg: [${texts.map((text) => quoted(clean(text))).join(", ")}]
    environment:
      name: hostile${number}
      url: ${quoted(`javascript:alert(1)//${plain.replaceAll(" ", "")}`)}
    steps:
      - uses: actions/checkout@v4
      - name: ${quoted(plain)}
        run: bash hostile.sh
      - uses: actions/upload-artifact@v4
        if: always()
        with:
          name: ${quoted(`${plain.replace(/["\\:<>|*?\r\n/]/g, "")} \${{ strategy.job-index }}`)}
          path: hostile.sh
      - uses: pipe/test-report@v1
        if: always()
        with:
          files: junit.xml
`;
};
const xml = (text) => text.replace(/[&<>"'\u0000-\u001f]/g, (c) => `&#${c.codePointAt(0)};`);
const junit = `<testsuite name="hostile">${TEXTS.map((text, n) => `<testcase classname="${xml(text)}" name="${xml(text)} ${n}" file="${xml(text)}" time="0.1">${n % 2 ? `<failure message="${xml(text)}">${xml(text)}</failure>` : ""}</testcase>`).join("")}</testsuite>`;
const property = (text) => text.replaceAll("%", "%25").replaceAll(":", "%3A").replaceAll(",", "%2C");
const script = `cat "$(dirname "$0")/lines"
cat "$(dirname "$0")/summary" >> "$GITHUB_STEP_SUMMARY"
exit 1
`;
const lines = [...LOG, ...LOG.map((text) => `::group::${text}`), ...TEXTS.flatMap((text) => [
  `::error file=${property(text)},line=1,title=${property(text)}::${text.replaceAll("%", "%25")}`, `::endgroup::`])].join("\n") + "\n";

before(async () => {
  await held.up();
  world = await World.open();
  await world.user("grace", "admin");
  await signIn(held.browser, world, "grace");
  const files = { "hostile.sh": script, lines, summary: MARKDOWN.join("\n\n"), "junit.xml": junit };
  GROUPS.forEach((texts, number) => { files[`.github/workflows/${number}.yml`] = workflow(texts, number); });
  // What git allows in a name: no blanks, no `~^:?*[\\`.
  const sha = await world.push(files, {
    message: `${TEXTS.join(" ")}\n\n${TEXTS.join("\n")}`, author: "\"' onload=alert(1) &lt;script&gt;alert(1) <a@example.org>",
    branch: "\"><img/src=x/onerror=alert(1)>\u202egpj",
  });
  const runs = async () => (await world.get(`/api/v1/runs?sha=${sha}&limit=100`)).runs;
  await world.runOf(sha);
  const found = await until("a run of each workflow", async () => (await runs()).length === GROUPS.length && runs());
  for (const one of found) await world.over(one.id);
  filled = { runs: (await runs()).map((one) => one.id), test: (await world.get("/api/v1/tests?repository=acme/shop")).tests[0]?.id };
});
after(() => world?.close());

async function look(page, path) {
  await page.goto(path);
  await page.evaluate(() => {
    for (const one of document.querySelectorAll("details")) one.open = true;
    // What a person may touch.
    for (const one of document.querySelectorAll("main *")) {
      one.dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
      one.dispatchEvent(new FocusEvent("focus"));
    }
  });
  const bad = await page.evaluate(() => {
    const found = [];
    for (const one of document.querySelectorAll("*")) {
      for (const { name, value } of one.attributes) {
        const scheme = /^(href|src|action|formaction|xlink:href|data)$/.test(name) && new URL(value, location.href).protocol;
        if (/^on|^style$/.test(name) || (scheme && !["http:", "https:", "mailto:"].includes(scheme))) found.push(`${one.tagName} ${name}=${value}`);
      }
    }
    for (const tag of ["iframe", "object", "embed", "base", "style", "math", "video", "hx-partial"]) found.push(...[...document.querySelectorAll(tag)].map((one) => one.outerHTML.slice(0, 100)));
    found.push(...[...document.scripts].filter((one) => !one.src.startsWith(`${location.origin}/static/`)).map((one) => one.outerHTML));
    found.push(...[...document.querySelectorAll("main img")].filter((one) => !one.src.startsWith(location.origin)).map((one) => one.outerHTML));
    found.push(...[...document.querySelectorAll("form")].filter((one) => !one.action.startsWith(location.origin)).map((one) => one.outerHTML));
    if (/[\u202a-\u202e\u2066-\u2069\u200b]/.test(document.body.textContent)) found.push("unseen characters");
    return found;
  });
  assert.deepEqual(bad, [], path);
  assert.deepEqual(page.wrong, [], path);
}

test("hostile texts stay texts on every page", async () => {
  const page = await open(held.browser, world);
  for (const id of filled.runs) {
    await look(page, `/runs/${id}`);
    assert.match(await page.locator("main").textContent(), /alert\(1\)/);
    const links = await page.locator("ol.jobs a.title").evaluateAll((all) => all.map((one) => one.getAttribute("href")));
    for (const link of links.slice(0, 2)) await look(page, link);
  }
  const first = filled.runs[0];
  const deployment = (await world.get("/api/v1/deployments")).deployments[0].id;
  const environments = (await world.get("/api/v1/environments?by=name")).environments.map((one) => one.name);
  const known = addresses({ failed: { id: first }, waiting: { id: first }, deployment, test: filled.test, environments: environments.slice(0, 3) });
  for (const route of routes()) {
    const own = route.startsWith("/runs/") ? [] : known[route] ?? [route];
    for (const path of own.filter((path) => !/^\/(login|a\/)/.test(path))) await look(page, path);
  }
  await close(page);
});

test("hostile texts stay texts while they come live, and in searches and filters", async () => {
  const page = await open(held.browser, world);
  for (const text of GROUPS.map((texts) => texts.join(" "))) {
    for (const name of ["workflow", "branch", "actor", "event", "repository"]) await look(page, `/?${name}=${encodeURIComponent(text)}`);
    for (const path of ["/tests?text=", "/deployments?environment=", "/deliveries?repository=", "/audit?who=", "/dispatch?repository=acme/shop&ref="]) await look(page, path + encodeURIComponent(text));
  }
  const link = `/runs/${filled.runs[0]}/jobs/${encodeURIComponent("hostile(0)")}`;
  await page.goto(link);
  for (const text of LOG) {
    await page.evaluate(() => { document.querySelector(".count").textContent = ""; });
    await page.fill("#find", text);
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => !["", "…"].includes(document.querySelector(".count").textContent));
    assert.deepEqual(page.wrong, [], text);
  }
  await close(page);
});
