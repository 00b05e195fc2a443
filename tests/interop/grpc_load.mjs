// Calls of gRPC with its implementation for Node: `grpc_load.mjs PACKAGES ADDRESS SECONDS RATE`; a rate of 0 is small unary calls,
// any other one is that of the messages of bidirectional streams. Prints what was done; the exit code is 1 if a call has failed.

import { createRequire } from "node:module";
import path from "node:path";

const [packages, address, seconds, rate] = process.argv.slice(2);
const grpc = createRequire(path.resolve(packages, "package.json"))("@grpc/grpc-js");

const AT_ONCE = 8;
const STREAMS = 4;
const message = Buffer.alloc(50, "m");
const same = (value) => value;
const method = (name, requestStream, responseStream) => ({
  path: `/interop.Test/${name}`,
  requestStream,
  responseStream,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
});
const Test = grpc.makeGenericClientConstructor({ same: method("Same", false, false), echo: method("Echo", true, true) }, "Test");
const client = new Test(address, grpc.credentials.createInsecure());

const failures = [];
let done = 0;

const unary = () =>
  new Promise((resolve) =>
    client.same(message, { deadline: Date.now() + 20_000 }, (error) => {
      if (error) failures.push(error.message);
      else done += 1;
      resolve();
    }),
  );

const caller = async (end) => {
  while (Date.now() < end) await unary();
};

const stream = (begin, count) =>
  new Promise((resolve) => {
    const call = client.echo();
    let sent = 0;
    let got = 0;
    call.on("data", () => {
      got += 1;
      done += 1;
    });
    call.on("error", (error) => failures.push(error.message));
    call.on("status", () => {
      if (got !== count) failures.push(`${got} of ${count} messages`);
      resolve();
    });
    const timer = setInterval(() => {
      const due = Math.min(count, ((Date.now() - begin) / 1000) * rate);
      for (; sent < due; sent += 1) call.write(message);
      if (sent >= count) {
        clearInterval(timer);
        call.end();
      }
    }, 5);
  });

if (Number(rate) === 0) {
  const end = Date.now() + seconds * 1000;
  await Promise.all(Array.from({ length: AT_ONCE }, () => caller(end)));
} else {
  const count = seconds * rate;
  await Promise.all(Array.from({ length: STREAMS }, () => stream(Date.now(), count)));
}
client.close();
if (failures.length > 0) {
  console.log(`${failures.length} failures: ${failures[0]}`);
  process.exit(1);
}
console.log(`${done} ${Number(rate) === 0 ? "calls" : "messages"}`);
