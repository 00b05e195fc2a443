// Upstreams of Node's own: HTTP/2 in the clear, and TLS with HTTP/2 or HTTP/1.1. Prints their two ports.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureServer, createServer } from "node:http2";

const folder = process.argv[2];

function answer(request, response) {
  const [, , action, argument] = request.url.split("/");
  if (action === "bytes") {
    response.setHeader("content-length", argument);
    response.end(Buffer.alloc(Number(argument), "x"));
  } else if (action === "digest") {
    const hash = createHash("sha256");
    let length = 0;
    request.on("data", (piece) => {
      hash.update(piece);
      length += piece.length;
    });
    request.on("end", () => response.end(`${length} ${hash.digest("hex")}`));
  } else if (action === "refuse") {
    response.statusCode = 413;
    response.end("too large");
  } else {
    response.setHeader("x-upstream-version", request.httpVersion);
    response.end("hello");
  }
}

const tls = {
  allowHTTP1: true,
  cert: readFileSync(`${folder}/certificate.pem`),
  key: readFileSync(`${folder}/key.pem`),
};
const servers = [createServer(answer), createSecureServer(tls, answer)];
const ports = servers.map((server) => new Promise((done) => {
  server.listen(0, "127.0.0.1", () => done(server.address().port));
}));
console.log((await Promise.all(ports)).join(" "));
