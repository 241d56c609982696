const { env } = process;
console.log(`${env.STATE_ran ? 'after' : 'main'}: ${env.INPUT_STATUS} '${env.INPUT_GIVEN}'`);
require('node:fs').appendFileSync(env.GITHUB_STATE, 'ran=yes\n');
