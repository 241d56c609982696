// A mail server of the tests: it takes everything, and keeps it.
import { once } from "node:events";
import { createServer } from "node:net";
import { until } from "./world.mjs";

export class Post {
  mails = [];

  static async open() {
    const post = new Post();
    post.server = createServer((socket) => post.converse(socket).catch(() => socket.destroy()));
    post.server.listen(0, "127.0.0.1");
    await once(post.server, "listening");
    post.address = `127.0.0.1:${post.server.address().port}`;
    return post;
  }

  async converse(socket) {
    socket.write("220 tests\r\n");
    let [text, mail] = ["", null];
    for await (const bytes of socket) {
      text += bytes.toString("latin1");
      for (let end = text.indexOf("\r\n"); end >= 0; end = text.indexOf("\r\n")) {
        const line = text.slice(0, end);
        text = text.slice(end + 2);
        if (mail) {
          if (line !== ".") { mail.push(line); continue; }
          this.mails.push(mail.join("\n"));
          mail = null;
        } else if (line === "DATA") {
          mail = [];
          socket.write("354 go on\r\n");
          continue;
        } else if (line === "QUIT") {
          socket.end("221 bye\r\n");
          return;
        }
        socket.write("250 ok\r\n");
      }
    }
  }

  /** The first mail that has this; its text as it was before it was packed for the way. */
  find(what) {
    return until(`a mail with ${what}`, async () => this.mails.map(plain).find((mail) => what.test(mail)));
  }
  close() {
    this.server.close();
  }
}

/** Quoted-printable, as far as addresses need it. */
const plain = (mail) => mail.replace(/=\n/g, "").replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));

/** An address of this machine where nobody listens. */
export async function free() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return `127.0.0.1:${port}`;
}
