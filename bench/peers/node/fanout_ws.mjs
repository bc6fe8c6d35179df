// ws: the loop that its README shows for a server broadcast.
import { createServer } from 'node:http';

import WebSocket, { WebSocketServer } from 'ws';

import { serve } from './fanout.mjs';

const server = createServer();
const wss = new WebSocketServer({ server });
serve(server, (text) => () => {
  wss.clients.forEach((client) => {
    if (client.readyState === WebSocket.OPEN) client.send(text);
  });
});
