// The shortest program that posts a call, in several languages. Each runs as it is. Pure.

const CALL = { direction: "inbound", fromNumber: "+14165550142", toNumber: "+14165550100", duration: 0, status: "no-answer" };

/**
 * @param {string} server its address, without a slash at its end
 * @param {string} externalCallId makes it safe to send the call again
 * @returns {[string, string][]} language and program
 */
export function codeSamples(server, apiKey, externalCallId) {
  const url = `${server}/api/calls/ingest`;
  const json = JSON.stringify({ externalCallId, ...CALL });
  return [
    [
      "curl",
      `curl -sS ${url} \\
  -H 'Authorization: Bearer ${apiKey}' \\
  -H 'Content-Type: application/json' \\
  -d '${json}'`,
    ],
    [
      "Python",
      `import json
import urllib.request

call = json.loads('${json}')
request = urllib.request.Request(
    "${url}",
    data=json.dumps(call).encode(),
    headers={"Authorization": "Bearer ${apiKey}", "Content-Type": "application/json"},
)
with urllib.request.urlopen(request) as answer:
    print(answer.status, json.load(answer))`,
    ],
    [
      "JavaScript",
      `const call = ${json};
const answer = await fetch("${url}", {
  method: "POST",
  headers: { Authorization: "Bearer ${apiKey}", "Content-Type": "application/json" },
  body: JSON.stringify(call),
});
console.log(answer.status, await answer.json());`,
    ],
  ];
}
