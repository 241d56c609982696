// A real `pipe serve` with a bare repository that is pushed to over git. Jobs run on this machine, without containers.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, mkdir, open, readFile, rm, writeFile, chmod } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const PIPE = process.env.PIPE ?? join(process.env.CARGO_TARGET_DIR ?? join(ROOT, "target"), "debug/pipe");
/** Longest that anything may take, in milliseconds. */
export const PATIENCE = 60_000;
export const REPOSITORY = "acme/shop";
export const PASSWORD = "correct horse battery";

const run = promisify(execFile);

/** Looks until there is something. What it looks at tells nobody when it changes. */
export async function until(what, look) {
  const end = Date.now() + PATIENCE;
  while (Date.now() < end) {
    const found = await look();
    if (found) return found;
    await new Promise((done) => setTimeout(done, 25));
  }
  throw new Error(`${what} did not come within ${PATIENCE / 1000} s`);
}

export class World {
  /** `files`: what the first commit has, by path; nothing is pushed with none. `settings`: more of pipe.toml. `address`: where it listens,
   *  where that has to be known before. */
  static async open({ files = {}, settings = "", address } = {}) {
    const world = new World();
    world.address = address;
    world.folder = await mkdtemp(join(tmpdir(), "pipe-browser-"));
    await chmod(world.folder, 0o755);
    world.data = join(world.folder, "data");
    world.work = join(world.folder, "work");
    world.bare = join(world.folder, "shop.git");
    world.environment = {
      PATH: process.env.PATH, HOME: join(world.folder, "home"), USER: "ada", LANG: "C.UTF-8",
      DOCKER_HOST: "unix:///nonexistent/docker.sock", GIT_CONFIG_GLOBAL: "/dev/null", GIT_TERMINAL_PROMPT: "0",
    };
    await mkdir(world.environment.HOME);
    await world.git("init", "--quiet", "--bare", "--initial-branch=main", world.bare);
    await world.git("init", "--quiet", "--initial-branch=main", world.work);
    const secret = join(world.folder, "hook-secret");
    await writeFile(secret, "a secret of the tests, long enough", { mode: 0o600 });
    await world.pipe("repo", "add", world.bare, "--name", REPOSITORY, "--forge", "push", "--secret-file", secret);
    const { token } = JSON.parse(await world.pipe("token", "create", "tests", "--scope", "admin", "--json"));
    world.token = token;
    await writeFile(join(world.data, "pipe.toml"), `[labels]\nubuntu-latest = "host"\n${settings}`);
    await world.start();
    await world.command(["hook", "install", world.bare, "--server", world.url, "--repository", REPOSITORY, "--secret-file", secret]);
    if (Object.keys(files).length) await world.push(files);
    return world;
  }

  async command(words) {
    return (await run(PIPE, words, { cwd: this.folder, env: this.environment, maxBuffer: 64 << 20 })).stdout;
  }
  pipe(...words) {
    return this.command([...words, "--data", this.data]);
  }
  async git(...words) {
    return (await run("git", words, { cwd: this.folder, env: this.environment })).stdout.trim();
  }

  /** A user who signs in with [`PASSWORD`]. */
  async user(name, role) {
    const child = spawn(PIPE, ["user", "add", name, "--role", role, "--data", this.data], { env: this.environment, stdio: ["pipe", "ignore", "inherit"] });
    child.stdin.end(`${PASSWORD}\n`);
    const [code] = await once(child, "exit");
    if (code !== 0) throw new Error(`the user ${name} could not be made`);
  }

  async start() {
    const listen = this.address ?? "127.0.0.1:0";
    const errors = await open(join(this.folder, "server.log"), "a");
    this.server = spawn(PIPE, ["serve", "--data", this.data, "--listen", listen], { env: this.environment, stdio: ["ignore", "pipe", errors.fd] });
    this.ended = once(this.server, "exit");
    await errors.close();
    const lines = createInterface({ input: this.server.stdout });
    let begun = false;
    await new Promise((done, failed) => {
      lines.on("line", (line) => {
        const listening = /^listening on (http:\/\/(\S+))/.exec(line);
        if (listening) [this.url, this.address] = [listening[1], listening[2]];
        const first = /"event":\s*"first_login".*"url":\s*"([^"]*)"/.exec(line);
        if (first) this.firstLogin = first[1];
        if (this.url) done((begun = true));
      });
      // Later on its end is what the test wants, and its log may be gone.
      this.ended.then(async ([code]) => begun || failed(new Error(`the server ended with ${code}:\n${await this.log()}`)));
    });
  }
  log() {
    return readFile(join(this.folder, "server.log"), "utf8");
  }
  async kill(signal = "SIGKILL") {
    this.server.kill(signal);
    await this.ended;
  }

  /** Ends the server and everything that it runs, and removes what there is. */
  async close() {
    if (this.server.exitCode === null) {
      for (const one of (await this.get("/api/v1/runs?limit=100")).runs) {
        if (one.status !== "completed") await this.post(`/api/v1/runs/${one.id}/cancel`, { force: true });
      }
      for (const one of (await this.get("/api/v1/runs?limit=100")).runs) await this.over(one.id);
      await this.kill("SIGTERM");
    }
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Commits files and pushes them; gives the id of the commit. */
  async push(files, { branch = "main", message = "first", author = "Ada <ada@example.org>", ref } = {}) {
    const git = (...words) => this.git("-C", this.work, "-c", "user.name=Ada", "-c", "user.email=ada@example.org", ...words);
    for (const [name, text] of Object.entries(files)) {
      const path = join(this.work, name);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text);
    }
    await git("add", "--all");
    await git("commit", "--quiet", "--allow-empty", "--author", author, "--message", message);
    await git("push", "--quiet", "--force", this.bare, `HEAD:${ref ?? `refs/heads/${branch}`}`);
    return git("rev-parse", "HEAD");
  }

  async ask(path, options = {}) {
    const answer = await fetch(this.url + path, { ...options, headers: { authorization: `Bearer ${this.token}`, ...options.headers } });
    if (!answer.ok) throw new Error(`${options.method ?? "GET"} ${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }
  get(path) {
    return this.ask(path);
  }
  post(path, body) {
    return this.ask(path, { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } });
  }

  /** The newest run of a commit, as soon as there is one of `attempt`. */
  runOf(sha, attempt = 1) {
    return until(`run of ${sha}`, async () => (await this.get(`/api/v1/runs?sha=${sha}`)).runs.find((one) => one.attempt === attempt));
  }
  /** A run that has come as far as asked. */
  when(id, what, is) {
    return until(`run ${id}: ${what}`, async () => {
      const found = await this.get(`/api/v1/runs/${id}`);
      return is(found) && found;
    });
  }
  over(id) {
    return this.when(id, "its end", (one) => one.status === "completed");
  }
}

/** Lines for a step that reads them: `steps` of a workflow wait until they come. */
export class Lines {
  static async make(world, name) {
    const lines = new Lines();
    lines.path = join(world.folder, name);
    await run("mkfifo", [lines.path]);
    return lines;
  }
  /** For `run:`. */
  get script() {
    return `exec 3<"${this.path}"; while IFS= read -r line <&3; do echo "$line"; done`;
  }
  async write(...lines) {
    this.file ??= await open(this.path, "w");
    await this.file.write(lines.map((line) => `${line}\n`).join(""));
  }
  async end() {
    await this.file?.close();
    this.file = undefined;
  }
}
