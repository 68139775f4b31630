"""GET /status on the metrics port of a real signer: what it says without a script, and to whom."""
import re

import interop
import messages
from daemon import Connection, wait_for

KEY = interop.PUBKEYS[0]


def ask(daemon, path="/status", host=None, method="GET"):
    connection = Connection("127.0.0.1", daemon.metrics_port)
    try:
        return connection.request(method, path, headers={"Host": host} if host else {})
    finally:
        connection.close()


def text_of(daemon):
    """The page's text, without its markup."""
    status, _, body = ask(daemon)
    assert status == 200
    shown = re.sub(r"<(style|script)\b.*?</\1>", "", body.decode(), flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", shown))


def test_the_page_says_what_the_signer_does(make_daemon):
    daemon = make_daemon(keys=interop.SECRETS[:3], config={"key_sources": {"expected_keys": 4}})
    daemon.init()
    daemon.start(ready=False)
    wait_for("three keys", lambda: ask(daemon)[0] == 200 and "known 3" in text_of(daemon))  # 503 until the core is there
    assert "Fewer keys than expected can sign." in text_of(daemon)
    wait_for("its key to sign", lambda: daemon.sign(KEY, messages.attestation(1, 2))[0] == 200)
    assert daemon.sign(KEY, messages.block(17))[0] == 200
    assert daemon.sign(KEY, messages.attestation(1, 2, "other"))[0] == 412
    status, headers, body = ask(daemon)
    assert status == 200 and headers["content-type"] == "text/html; charset=utf-8"
    assert headers["cache-control"] == "no-store" and headers["content-security-policy"] == "frame-ancestors 'none'"
    assert KEY not in body.decode()
    for words in ("files 3", "history in sqlite", "newest attestation signed by this core: target epoch 2",
                  "newest block signed by this core: slot 17", "DOUBLE_VOTE anonymous", f"{KEY[:10]}…{KEY[-6:]}"):
        wait_for(words, lambda words=words: words in text_of(daemon))  # what was answered is noted a moment later
    counted = wait_for("the history to be counted", lambda: re.search(r"attestations recorded (\d+)", text_of(daemon)))
    assert counted[1] in ("0", "1")  # at the first look, which may have been before the first signature
    wait_for("points of the charts", lambda: "claims a transaction now" in text_of(daemon), 60)
    # Only looks: nothing else is answered there, and nobody can send anything.
    assert ask(daemon, method="POST")[0] == 405
    assert ask(daemon, "/api/v1/eth2/publicKeys")[0] == 404
    assert daemon.get("/status")[0] == 404  # of the API's own port
    # T21: a page of somebody else's name that leads here reads nothing.
    assert ask(daemon, host="attacker.example")[0] == 403
    assert ask(daemon, "/metrics", host="attacker.example")[0] == 200
