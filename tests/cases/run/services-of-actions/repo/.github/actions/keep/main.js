// As GitHub's packages do it, without them: see runner/results/tests for those.
const crypto = require('node:crypto');

const env = process.env;
const origin = new URL(env.ACTIONS_RESULTS_URL).origin;
const token = env.ACTIONS_RUNTIME_TOKEN;
const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
const [, run, job] = claims.scp.split(' ').find((scope) => scope.startsWith('Actions.Results:')).split(':');

async function call(service, method, request) {
  const answer = await fetch(`${origin}/twirp/github.actions.results.api.v1.${service}/${method}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(request),
  });
  const value = await answer.json();
  if (!answer.ok) throw new Error(`${method}: ${answer.status} ${value.msg}`);
  return value;
}

async function put(url, body) {
  const answer = await fetch(url, { method: 'PUT', headers: { 'x-ms-blob-type': 'BlockBlob' }, body });
  if (answer.status !== 201) throw new Error(`PUT: ${answer.status}`);
}

async function artifacts() {
  const ids = { workflow_run_backend_id: run, workflow_job_run_backend_id: job };
  const made = await call('ArtifactService', 'CreateArtifact', { ...ids, name: 'said.txt', version: 7, mime_type: 'text/plain' });
  await put(made.signed_upload_url, 'said by an action\n');
  await call('ArtifactService', 'FinalizeArtifact', { ...ids, name: 'said.txt', size: '18' });
  const { artifacts } = await call('ArtifactService', 'ListArtifacts', ids);
  console.log(artifacts.map((artifact) => artifact.name).sort().join(' '));
  const { signed_url } = await call('ArtifactService', 'GetSignedArtifactURL', { ...ids, name: 'native' });
  const zip = Buffer.from(await (await fetch(signed_url)).arrayBuffer());
  const { digest } = artifacts.find((artifact) => artifact.name === 'native');
  console.log(zip.subarray(0, 2).toString(), digest === `sha256:${crypto.createHash('sha256').update(zip).digest('hex')}`);
}

async function caches() {
  const entry = { key: 'k', version: 'v' };
  console.log((await call('CacheService', 'GetCacheEntryDownloadURL', entry)).ok);
  await put((await call('CacheService', 'CreateCacheEntry', entry)).signed_upload_url, 'cached');
  await call('CacheService', 'FinalizeCacheEntryUpload', { ...entry, size_bytes: '6' });
  const found = await call('CacheService', 'GetCacheEntryDownloadURL', { ...entry, key: 'other', restore_keys: ['k'] });
  console.log(found.matched_key, await (await fetch(found.signed_download_url)).text());
}

// The first form of the cache's API, which older clients speak; the entries are the same.
async function olderCaches() {
  const ask = async (method, path, body, headers = { 'content-type': 'application/json' }) => {
    const answer = await fetch(`${env.ACTIONS_CACHE_URL}_apis/artifactcache/${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...headers },
      body,
    });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.status === 204 ? null : answer.json();
  };
  const found = await ask('GET', 'cache?keys=none,k&version=v');
  console.log(found.cacheKey, await (await fetch(found.archiveLocation)).text());
  const { cacheId } = await ask('POST', 'caches', JSON.stringify({ key: 'older', version: 'v', cacheSize: 8 }));
  for (const [first, text] of [[4, 'half'], [0, 'one ']]) {
    await ask('PATCH', `caches/${cacheId}`, text, { 'content-range': `bytes ${first}-${first + 3}/*` });
  }
  await ask('POST', `caches/${cacheId}`, JSON.stringify({ size: 8 }));
  const saved = await ask('GET', 'cache?keys=older&version=v');
  console.log(saved.cacheKey, await (await fetch(saved.archiveLocation)).text());
  console.log(await ask('GET', 'cache?keys=older&version=another'));
}

async function identity() {
  const url = env.ACTIONS_ID_TOKEN_REQUEST_URL;
  if (!url) {
    const refused = await fetch(`${origin}/oidc/token`, { headers: { authorization: `Bearer ${token}` } });
    console.log(refused.status, (await refused.json()).msg);
    return;
  }
  const bearer = { authorization: `Bearer ${env.ACTIONS_ID_TOKEN_REQUEST_TOKEN}` };
  const { value } = await (await fetch(`${url}&audience=sts.amazonaws.com`, { headers: bearer })).json();
  const [head, body, signature] = value.split('.');
  const claims = JSON.parse(Buffer.from(body, 'base64url'));
  const described = await (await fetch(`${claims.iss}/.well-known/openid-configuration`)).json();
  const { keys } = await (await fetch(described.jwks_uri)).json();
  const jwk = keys.find((key) => key.kid === JSON.parse(Buffer.from(head, 'base64url')).kid);
  const key = crypto.createPublicKey({ key: jwk, format: 'jwk' });
  const good = crypto.verify('RSA-SHA256', Buffer.from(`${head}.${body}`), key, Buffer.from(signature, 'base64url'));
  console.log(good, claims.aud, claims.sub.replace(/^repo:[^:]*/, 'repo:…'), claims.event_name);
}

(async () => {
  if (env.INPUT_ASK !== 'only') {
    await artifacts();
    await caches();
    await olderCaches();
  }
  await identity();
})().catch((error) => {
  console.log(`::error::${error.message}`);
  process.exitCode = 1;
});
