// undici through the gateway: pipelining, HTTP/2 in the clear and HTTP/2 over TLS. Prints a line for each case.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [packages, plain, secure, authority] = process.argv.slice(2);
const { Client, H2CClient } = createRequire(`${packages}/`)("undici");
const ca = readFileSync(authority);
const upload = Buffer.alloc(5 << 20, "y");
const expected = `${upload.length} ${createHash("sha256").update(upload).digest("hex")}`;

async function ask(client, path, options = {}) {
  const { statusCode, headers, body } = await client.request({ path, method: "GET", ...options });
  return { statusCode, headers, text: await body.text() };
}

function check(what, is, should) {
  if (is !== should) throw new Error(`${what}: ${is} instead of ${should}`);
}

async function exchange(client) {
  const many = Array.from({ length: 200 }, (_, at) => ask(client, `/h1/bytes/${at}`));
  for (const [at, answer] of (await Promise.all(many)).entries()) {
    check("status", answer.statusCode, 200);
    check("length", answer.text.length, at);
  }
  for (const upstream of ["h1", "h2", "tls-h1", "tls-h2"]) {
    const answer = await ask(client, `/${upstream}/digest`, { method: "POST", body: upload });
    check(upstream, answer.text, expected);
  }
}

const cases = {
  "h1, 20 requests in the pipeline": () => new Client(plain, { pipelining: 20 }),
  "h2c by prior knowledge": () => new H2CClient(plain),
  "h2 over TLS": () => new Client(secure, { allowH2: true, maxConcurrentStreams: 50, connect: { ca } }),
};

for (const [name, connect] of Object.entries(cases)) {
  try {
    const client = connect();
    await exchange(client);
    await client.close();
    console.log(`ok undici: ${name}`);
  } catch (error) {
    console.log(`FAILED undici: ${name}: ${error.stack.replaceAll("\n", " ")}`);
  }
}
