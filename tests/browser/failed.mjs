// A reporter of node:test: the files in which a test failed, each once, a line each.
export default async function* failed(events) {
  const seen = new Set();
  for await (const { type, data } of events) {
    if (type !== "test:fail" || !data.file || seen.has(data.file)) continue;
    seen.add(data.file);
    yield `${data.file}\n`;
  }
}
