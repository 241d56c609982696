// One call of one of GitHub's own packages, as an action makes it: `node drive.mjs VERB '{"name": …}'`. What it gives, or
// the error that it throws, is the last line of its output, as JSON. What else it writes is the packages' own.

const verbs = {
  async 'artifact-upload'({ name, files, root, options }) {
    const { DefaultArtifactClient } = await import('@actions/artifact');
    return new DefaultArtifactClient().uploadArtifact(name, files, root, options);
  },
  async 'artifact-download'({ name, path, options }) {
    const { DefaultArtifactClient } = await import('@actions/artifact');
    const client = new DefaultArtifactClient();
    const { artifact } = await client.getArtifact(name, options);
    const got = await client.downloadArtifact(artifact.id, { path, expectedHash: artifact.digest, ...options });
    return { ...got, artifact };
  },
  async 'artifact-list'({ options }) {
    const { DefaultArtifactClient } = await import('@actions/artifact');
    return new DefaultArtifactClient().listArtifacts(options);
  },
  async 'artifact-delete'({ name, options }) {
    const { DefaultArtifactClient } = await import('@actions/artifact');
    return new DefaultArtifactClient().deleteArtifact(name, options);
  },
  async 'cache-save'({ paths, key }) {
    const cache = await import('@actions/cache');
    return cache.saveCache(paths, key);
  },
  async 'cache-restore'({ paths, key, restoreKeys }) {
    const cache = await import('@actions/cache');
    return (await cache.restoreCache(paths, key, restoreKeys)) ?? null;
  },
  async 'id-token'({ audience }) {
    const core = await import('@actions/core');
    return core.getIDToken(audience);
  },
  async 'github'({ token, route, parameters }) {
    const { getOctokit } = await import('@actions/github');
    const answer = await getOctokit(token).request(route, parameters);
    return { status: answer.status, data: answer.data };
  },
  async 'get'({ url, headers }) {
    const { HttpClient } = await import('@actions/http-client');
    const answer = await new HttpClient('client-tests').get(url, headers);
    return { status: answer.message.statusCode, body: await answer.readBody() };
  },
};

// Paths begin at the workspace, as in a step.
process.chdir(process.env.GITHUB_WORKSPACE ?? '.');
const [verb, text] = process.argv.slice(2);
let result;
try {
  const started = performance.now();
  const value = await verbs[verb](JSON.parse(text));
  result = { value: value ?? null, milliseconds: performance.now() - started };
} catch (error) {
  result = { error: `${error.name}: ${error.message}` };
}
console.log(`\n${JSON.stringify(result)}`);
