import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

import { HOST } from './process.ts';

/** The network between a browser and a server, which can be cut. */
export class Line {
  private readonly open = new Set<Socket>();
  private listener: Server | undefined;
  private port = 0;

  constructor(private readonly target: number) {}

  get url(): string {
    return `http://${HOST}:${this.port}`;
  }

  /** Connects, at the same address every time. */
  async mend(): Promise<void> {
    const listener = createServer(browser => {
      const server = connect(this.target, HOST);
      for (const [from, to] of [[browser, server], [server, browser]] as const) {
        this.open.add(from);
        from.pipe(to);
        from.on('error', () => to.destroy());
        from.on('close', () => {
          this.open.delete(from);
          to.destroy();
        });
      }
    });
    this.listener = listener;
    await new Promise<void>(done => listener.listen(this.port, HOST, done));
    this.port = (listener.address() as AddressInfo).port;
  }

  /** Ends every connection and refuses new ones. */
  async cut(): Promise<void> {
    const closed = new Promise(done => this.listener?.close(done));
    for (const socket of this.open) socket.destroy();
    await closed;
  }
}
