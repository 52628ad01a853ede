// A Unix socket that sends back what it gets. Argument: the path. Prints `listening`.
import net from 'node:net';

net.createServer((socket) => socket.pipe(socket)).listen(process.argv[2], () => console.log('listening'));
