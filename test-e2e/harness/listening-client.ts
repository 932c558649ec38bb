/** A WebSocket client in a process of its own, to be stopped: tells its parent when it is connected and with which code it ended. */
import { WebSocket } from 'ws';

const socket = new WebSocket(process.argv[2] as string);
socket.on('open', () => process.send?.('open'));
socket.on('error', () => undefined);
socket.on('close', (code) => process.send?.(code, () => process.exit(0)));
