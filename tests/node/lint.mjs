// Lints an OpenAPI document with the rules that its linter recommends.
//
// Takes the document as JSON on standard input and prints what it finds as a JSON array of
// {"rule", "severity", "message", "at"}, which is empty for a document without a fault.

import { createRequire } from "node:module";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

// The packages are installed outside the source tree.
const require = createRequire(join(process.env.BAILIWICK_TEST_NODE, "package.json"));
const linter = pathToFileURL(require.resolve("@redocly/openapi-core"));
const { createConfig, lintFromString } = await import(linter);

// An issuer is wherever somebody runs it, so the document names no server.
const rules = { "no-empty-servers": "off" };
const config = await createConfig({ extends: ["recommended-strict"], rules });
const source = await text(process.stdin);
const problems = await lintFromString({ source, absoluteRef: "openapi.json", config });

// The answer of the authorization endpoint is a redirect.
const redirects = "#/paths/~1oauth~1authorize/get/responses";
const faults = problems.filter(
  ({ ruleId, location }) =>
    !(ruleId === "operation-2xx-response" && location[0]?.pointer === redirects),
);
const found = faults.map(({ ruleId, severity, message, location }) => ({
  rule: ruleId,
  severity,
  message,
  at: location[0]?.pointer,
}));
process.stdout.write(JSON.stringify(found));
