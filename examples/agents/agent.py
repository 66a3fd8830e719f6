"""An agent over GraphQL alone, in Python with nothing but its standard library: asks every two seconds, and answers what it finds at once.
`AGENT_KEY` is its API key, `SLUICE_URL` the API."""

import json, os, time, urllib.error, urllib.request

URL = os.environ.get("SLUICE_URL", "http://127.0.0.1:4000/graphql")
OPEN = """query { agentRequests(filter: { status: [OPEN], kind: [REQUEST] }, orderBy: OLDEST_FIRST, first: 50) {
  edges { node { id role subject request(maxBytes: 50000) } } } }"""
ANSWER = """mutation ($answers: [AgentAnswer!]!) { answerAgentRequests(input: { answers: $answers }) {
  ... on AnswerAgentRequestsSuccess { results { id ok code message } } ... on Problem { code message } } }"""


def ask(query, variables={}):
    headers = {"content-type": "application/json", "authorization": "Bearer " + os.environ["AGENT_KEY"]}
    body = json.dumps({"query": query, "variables": variables}).encode()
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(URL, body, headers)) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            if error.code not in (429, 500, 502, 503, 504):
                raise SystemExit(error.read().decode())  # the key is no good, or the document
            time.sleep(float(error.headers.get("retry-after", 1)))
        except OSError:  # nobody there: it comes back
            time.sleep(1)


def decide(subject, body):
    return {"decision": "APPROVE", "data": {"why": "I looked at: " + subject}}


while True:
    asked = [edge["node"] for edge in ask(OPEN)["agentRequests"]["edges"]]
    # under the same key, what was sent before a crash counts once
    answers = [{"id": one["id"], "idempotencyKey": one["id"], **decide(one["subject"], one["request"])} for one in asked]
    for became in ask(ANSWER, {"answers": answers})["answerAgentRequests"]["results"] if answers else []:
        print(became["id"], "answered" if became["ok"] else became["code"], flush=True)
    time.sleep(2)
