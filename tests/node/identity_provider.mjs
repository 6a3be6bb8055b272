// A real OpenID provider on a free port of this machine, for the tests of signing in with one.
// Everybody may sign in there, with any password; the login says which groups they are in.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.env.BAILIWICK_TEST_NODE}/`);
const { default: Provider } = await import(pathToFileURL(require.resolve("oidc-provider")));

const groups = { grace: ["approvers"], olga: ["auditors"], ada: ["approvers"] };

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: "bailiwick",
        client_secret: "a secret of the tests",
        // A native client's loopback address may have any port (RFC 8252 section 7.3).
        application_type: "native",
        redirect_uris: [
          "http://127.0.0.1/sign-in/identity/return",
          "http://localhost/sign-in/identity/return",
        ],
      },
    ],
    claims: { openid: ["sub"], profile: ["preferred_username", "groups"], email: ["email"] },
    conformIdTokenClaims: false,
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: `sub-${id}`, preferred_username: id, groups: groups[id] ?? [] }),
    }),
  });
  server.on("request", provider.callback());
  console.log(JSON.stringify({ issuer }));
});
