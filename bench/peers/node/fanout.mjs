// What the fan-out servers in Node share: they listen, and for each line {rounds, events, bytes} on standard input they
// broadcast so often, with the event loop's turn between two rounds.
import { createInterface } from 'node:readline';
import { setImmediate as turn } from 'node:timers/promises';

/** `prepare(text)` returns the function that sends one event; `overhead` is what the library adds to the text. */
export function serve(server, prepare, overhead = 0) {
  server.listen(0, '127.0.0.1', 4096, () => console.log(JSON.stringify({ port: server.address().port })));
  createInterface({ input: process.stdin }).on('line', async (line) => {
    const { rounds, events, bytes } = JSON.parse(line);
    const send = prepare('x'.repeat(bytes + overhead));
    for (let round = 0; round < rounds; round += 1) {
      for (let event = 0; event < events; event += 1) send();
      await turn();
    }
    console.log('{}');
  });
  process.on('SIGTERM', () => process.exit(0));
}
