const { env } = process;
console.log(`after ${env.STATE_who} '${env.STATE_secret}', greeted ${env['INPUT_WHO-TO-GREET']}, made='${env.MADE}' level=${env.LEVEL} action=${env.GITHUB_ACTION}`);
