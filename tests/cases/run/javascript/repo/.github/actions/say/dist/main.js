const fs = require('node:fs');
const path = require('node:path');
const append = (name, text) => fs.appendFileSync(process.env[name], text + '\n');
const { env } = process;

console.log(`node ${process.version.split('.')[0]} says hello to ${env.INPUT_WHO_TO_GREET} and ${env['INPUT_WHO-TO-GREET']}`);
console.log(`fail='${env.INPUT_FAIL}' odd='${env.INPUT_ODD}' level=${env.LEVEL} in the workspace: ${process.cwd() === env.GITHUB_WORKSPACE}`);
console.log(`action='${env.GITHUB_ACTION}' path='${path.basename(env.GITHUB_ACTION_PATH ?? '')}' repository='${env.GITHUB_ACTION_REPOSITORY}'`);
append('GITHUB_OUTPUT', 'greeting=hello');
append('GITHUB_ENV', 'MADE=made by it');
append('GITHUB_STATE', `who=${env.INPUT_WHO_TO_GREET}`);
console.log('::save-state name=secret::kept');
console.log('::warning file=a.js,line=3::look here');
const tool = path.join(env.RUNNER_TEMP, 'tools');
fs.mkdirSync(tool, { recursive: true });
fs.writeFileSync(path.join(tool, 'tool-of-action'), '', { mode: 0o755 });
append('GITHUB_PATH', tool);
append('GITHUB_STEP_SUMMARY', '- said');
if (env.INPUT_FAIL) {
  console.log('::error::it was asked to fail');
  process.exitCode = 3;
}
