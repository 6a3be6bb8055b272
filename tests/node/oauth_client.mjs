// Connects to an MCP server as an interactive client does, with the official TypeScript SDK and
// nothing told but the server's URL: discovery, registration, PKCE, the browser, the token, the call.
//
// Takes one JSON object as its argument: {"url": ..., "steps": [{"call": NAME, "arguments": {...}}]}
// and prints one JSON line for each address that a person has to open, and one for the answers:
//
//     {"event": "open", "number": 0, "url": ...}
//     {"event": "answers", "answers": [{"is_error": bool}, ...], "scope": ...}

import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";

// The packages are installed outside the source tree.
const require = createRequire(join(process.env.BAILIWICK_TEST_NODE, "package.json"));
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { UnauthorizedError } = require("@modelcontextprotocol/sdk/client/auth.js");
const {
  StreamableHTTPClientTransport,
} = require("@modelcontextprotocol/sdk/client/streamableHttp.js");

const { url, steps } = JSON.parse(process.argv[2]);

function say(event) {
  process.stdout.write(JSON.stringify(event) + "\n");
}

/** The address on this machine where the browser brings the answer. */
class Callback {
  #answers = [];
  #waiting = [];

  async listen() {
    this.server = createServer((request, response) => {
      response.end("You can close this page.");
      const target = new URL(request.url, this.url);
      if (target.pathname === "/callback") {
        this.#answers.push(target.searchParams);
        this.#waiting.shift()?.();
      }
    });
    await new Promise((done) => this.server.listen(0, "127.0.0.1", done));
    this.url = `http://127.0.0.1:${this.server.address().port}/callback`;
  }

  async code() {
    if (this.#answers.length === 0) {
      await new Promise((done) => this.#waiting.push(done));
    }
    const answer = this.#answers.shift();
    if (!answer.has("code")) {
      throw new Error(`no code: ${answer}`);
    }
    return answer.get("code");
  }
}

/** What the SDK stores, and how it has a person open an address. */
class Memory {
  #number = 0;

  constructor(redirectUrl) {
    this.redirectUrl = redirectUrl;
    this.clientMetadata = {
      client_name: "Unmodified client",
      redirect_uris: [redirectUrl],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
    };
  }

  state() {
    return crypto.randomUUID();
  }

  clientInformation() {
    return this.client;
  }

  saveClientInformation(client) {
    this.client = client;
  }

  tokens() {
    return this.held;
  }

  saveTokens(tokens) {
    this.held = tokens;
  }

  codeVerifier() {
    return this.verifier;
  }

  saveCodeVerifier(verifier) {
    this.verifier = verifier;
  }

  redirectToAuthorization(address) {
    say({ event: "open", number: this.#number++, url: address.href });
  }
}

const callback = new Callback();
await callback.listen();
const memory = new Memory(callback.url);

/** Does something; where the SDK says that a person has to be asked first, waits and repeats it. */
async function authorized(attempt) {
  for (;;) {
    const { transport, work } = attempt();
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof UnauthorizedError)) {
        throw error;
      }
      await transport.finishAuth(await callback.code());
    }
  }
}

const connected = await authorized(() => {
  const client = new Client({ name: "typescript", version: "1.0.0" });
  const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: memory });
  const work = async () => {
    await client.connect(transport);
    return { client, transport };
  };
  return { transport, work };
});

const answers = [];
for (const step of steps) {
  const call = { name: step.call, arguments: step.arguments };
  const result = await authorized(() => ({
    transport: connected.transport,
    work: () => connected.client.callTool(call),
  }));
  answers.push({ is_error: result.isError === true });
}
say({ event: "answers", answers, scope: memory.held.scope });
await connected.client.close();
callback.server.closeAllConnections();
callback.server.close();
