// Which versions answer, by the header X-Version: JSON from the first seven characters of each to how often.
//   run.sh versions http://127.0.0.1:8093/api/orders/health 200
const [url, times = "100"] = process.argv.slice(2);
const counted = {};
for (let number = 0; number < Number(times); number += 1) {
  const answer = await fetch(url, { signal: AbortSignal.timeout(10_000) });
  await answer.arrayBuffer();
  const version = answer.ok ? (answer.headers.get("x-version") ?? "none").slice(0, 7) : `status ${answer.status}`;
  counted[version] = (counted[version] ?? 0) + 1;
}
console.log(JSON.stringify(counted));
