// A service behind this one, asked in JSON with a time limit.

// The service gave no usable answer: it is down, slow, or failing.
export class Away extends Error {
  constructor(service, cause) {
    super(`${service} is away`, { cause });
    this.service = service;
  }
}

// `{get(path, requestId), post(path, body, headers, requestId), isReady()}`. Answers come as `{status, body}` with a status
// below 500; all else is `Away`.
export function createUpstream(service, url, millisecondsMax) {
  async function call(path, requestId, options = {}) {
    try {
      const answer = await fetch(url + path, {
        ...options,
        headers: { accept: 'application/json', 'x-request-id': requestId, ...options.headers },
        redirect: 'error',
        signal: AbortSignal.timeout(millisecondsMax),
      });
      if (answer.status >= 500) throw new Error(`${service} answered ${answer.status}`);
      return { status: answer.status, body: await answer.json() };
    } catch (cause) {
      throw new Away(service, cause);
    }
  }

  return {
    service,
    get: (path, requestId) => call(path, requestId),
    post: (path, body, headers, requestId) =>
      call(path, requestId, {
        method: 'POST',
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json', ...headers },
      }),
    async isReady(requestId) {
      try {
        return (await call('/ready', requestId)).status === 200;
      } catch {
        return false;
      }
    },
  };
}
