const { INPUT_ASK, INPUT_BODY, INPUT_SHOW, INPUT_TOKEN, GITHUB_API_URL, GITHUB_REPOSITORY } = process.env;
const [method, path] = INPUT_ASK.split(' ');

(async () => {
  const headers = { authorization: `token ${INPUT_TOKEN}`, 'content-type': 'application/json' };
  const body = INPUT_BODY || undefined;
  const answer = await fetch(`${GITHUB_API_URL}/repos/${GITHUB_REPOSITORY}/${path}`, { method, headers, body });
  const shown = INPUT_SHOW.split('.').reduce((value, name) => value?.[name], await answer.json());
  console.log(answer.status, shown);
})().catch((error) => {
  console.log(`::error::${error.message}`);
  process.exitCode = 1;
});
