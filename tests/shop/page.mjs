// A page as text; AUTHORIZATION is sent if it is set.   run.sh page http://127.0.0.1:8093/products/1
const authorization = process.env.AUTHORIZATION;
const headers = authorization ? { authorization } : {};
const answer = await fetch(process.argv[2], { headers, signal: AbortSignal.timeout(10_000) });
const text = await answer.text();
console.log(text);
if (!answer.ok) process.exit(1);
