// One value of the JSON on standard input, by its path; `*` is every element of a list. Fails where there is none.
//   run.sh load URL … | tail -n 1 | run.sh figure services.orders.failed
const path = (process.argv[2] ?? "").split(".").filter(Boolean);
let text = "";
for await (const part of process.stdin) text += part;

function look(value, [name, ...rest]) {
  if (name === undefined) return value;
  return name === "*" && Array.isArray(value) ? value.map((one) => look(one, rest)) : look(value?.[name], rest);
}
const value = look(JSON.parse(text), path);
if (value === undefined) {
  console.error(`there is no ${path.join(".")} in ${text.slice(0, 500)}`);
  process.exit(1);
}
console.log(typeof value === "string" ? value : JSON.stringify(value));
