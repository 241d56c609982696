// All pages, by their routes in web/src/pages: an address of each, or why it is no page that people look at.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./world.mjs";

const NO_PAGE = new Map([
  ["/live", "stream"], ["/environments/{name}/live", "stream"], ["/rollouts/{id}/live", "stream"], ["/runs/{id}/live", "stream"], ["/runs/{id}/jobs/{job}/live", "stream"],
  ["/runs/{id}/jobs/{job}/lines", "part of a page"], ["/runs/{id}/jobs/{job}/search", "data"], ["/runs/{id}/jobs/{job}/raw", "plain text"],
  ["/runs/{id}/jobs/{job}/times", "data"], ["/runs/{id}/jobs/{job}/at", "leads to a line"],
  ["/runs/{id}/artifacts/{name}", "file"], ["/badge/{owner}/{name}/{workflow}", "picture"], ["/runs.atom", "feed"], ["/audit/export", "file"],
  ["/static/{hash}/{*file}", "file"], ["/login/oidc", "leads elsewhere"], ["/login/oidc/callback", "leads elsewhere"],
]);

/** Names in the sources (`/runs/{id}`) of what answers a GET. */
export function routes() {
  const found = new Set();
  const read = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) read(path);
      else if (entry.name.endsWith(".rs")) {
        const text = readFileSync(path, "utf8").split("#[cfg(test)]\nmod ")[0];
        for (const [, route, methods] of text.matchAll(/\.route\(\s*"([^"]+)",\s*([^;]*?)(?=\.route\(|\.merge\(|\.fallback\(|\.layer\(|;|\n\})/g)) {
          if (/\bget\(/.test(methods)) found.add(route);
        }
      }
    }
  };
  read(join(ROOT, "web/src/pages"));
  return [...found].filter((route) => !NO_PAGE.has(route)).sort();
}

/** What stands for the parts of routes in a world: `shown` has a run with a review, one that failed, and so on. */
export function addresses({ failed, waiting, deployment, test, approval, rollout, gate, environments = ["production"] }) {
  const jobs = `/runs/${failed.id}/jobs`;
  return {
    "/": ["/", "/?status=cancelled"],
    "/runs/{id}": [`/runs/${failed.id}`, `/runs/${waiting.id}`],
    "/runs/{id}/jobs/{job}": [`${jobs}/test(1)`, `${jobs}/test(1)?q=case`, `/runs/${waiting.id}/jobs/production`],
    "/runs/{id}/review/{environment}": [`/runs/${waiting.id}/review/production`],
    "/runs/{id}/gates/{gate}": gate ? [gate] : [],
    "/dispatch": ["/dispatch", "/dispatch?repository=acme/shop&workflow=.github/workflows/release.yml"],
    "/tests/{id}": [`/tests/${test}`],
    "/deliveries/{number}": ["/deliveries/1"],
    "/a/{id}": approval ? [approval] : ["/a/1"],
    "/a/{approval}": approval ? [approval] : ["/a/1"],
    "/deployments/{id}": [`/deployments/${deployment}`],
    "/environments/{name}": environments.map((name) => `/environments/${encodeURIComponent(name)}`),
    "/rollouts/{id}": rollout ? [`/rollouts/${rollout}`] : [],
  };
}
