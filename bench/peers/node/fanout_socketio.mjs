// socket.io: one event to everybody, `io.emit`.
import { createServer } from 'node:http';

import { Server } from 'socket.io';

import { serve } from './fanout.mjs';

const server = createServer();
const io = new Server(server, { transports: ['websocket'], pingInterval: 3_600_000 });
serve(server, (text) => {
  const data = { text };
  return () => io.emit('event', data);
}, -('42["event",{"text":""}]'.length));
