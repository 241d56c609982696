// Rollouts in the database of a server that runs, and somebody who takes up orders: tests/examples/stage.rs.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { REPOSITORY, ROOT } from "./world.mjs";

const target = process.env.PIPE ? dirname(process.env.PIPE) : join(process.env.CARGO_TARGET_DIR ?? join(ROOT, "target"), "debug");
const STAGE = join(target, "examples/stage");

export class Stage {
  static open(world) {
    assert.ok(existsSync(STAGE), `there is no ${STAGE}: cargo build --package tests --example stage`);
    const stage = new Stage();
    stage.process = spawn(STAGE, [join(world.data, "pipe.db")], { stdio: ["pipe", "pipe", "inherit"] });
    stage.ended = once(stage.process, "exit");
    stage.answers = createInterface({ input: stage.process.stdout })[Symbol.asyncIterator]();
    return stage;
  }

  async ask(line) {
    this.process.stdin.write(`${line}\n`);
    const { value, done } = await this.answers.next();
    assert.ok(!done, `the stage ended at: ${line}`);
    return Number(value);
  }
  /** Begins a rollout to 10, 50 and 100 %; its number. `errors`: of green, in a thousand answers. */
  begin(service, version, { environment = "production", run = 0, job = "deploy", errors = 0 } = {}) {
    return this.ask(`begin ${environment} ${service} ${version} ${REPOSITORY} ${run} ${job} ${errors}`);
  }
  /** Keeps what a scan of a run said of an image; `found`: `NAME:SEVERITY,…`, critical ones fail. */
  scan(run, target, found) {
    return this.ask(`scan ${REPOSITORY} ${run} ${target} ${found}`);
  }
  /** From now on its target does nothing more. */
  break(id) {
    return this.ask(`break ${id}`);
  }

  async close() {
    this.process.stdin.end();
    await this.ended;
  }
}
