"""Hostile HTTP requests: cases() yields (name, bytes to send, statuses that are right).

A status of 0 stands for a connection that ends without an answer. MARK is in whatever text a server could be tempted
to send back.
"""
import json
import random

import messages

KEY = "0xa99a76ed7796f7be22d5b7e85deeb7c5677e88e511e0b337618f8c4eb61349b4bf2d153f649f7b53359fe8b94a38e44c"
SIGN = f"/api/v1/eth2/sign/{KEY}"
BATCH = "/api/v1/eth2/sign"
MARK = "zqxmark"
CLOSED = 0


def raw(method, path, headers=(), body=b"", host="localhost", version="HTTP/1.1"):
    """A request as bytes; `headers` are whole lines."""
    lines = [f"{method} {path} {version}"] + ([f"Host: {host}"] if host is not None else []) + list(headers)
    return "\r\n".join(lines).encode("latin1") + b"\r\n\r\n" + body


def post(body, headers=(), path=SIGN):
    """A sign request with a right Content-Length."""
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return raw("POST", path, [f"Content-Length: {len(body)}", *headers], body)


def chunked(text, path=SIGN):
    """A sign request whose chunked body is `text` as it stands."""
    return raw("POST", path, ["Transfer-Encoding: chunked"], text)


def framing():
    """Two readings of where a request ends, or none."""
    hello = b"hello"
    both = ["Content-Length: 5", "Transfer-Encoding: chunked"]
    yield "CL and TE", raw("POST", SIGN, both, b"0\r\n\r\n"), {400}
    yield "TE and CL", raw("POST", SIGN, both[::-1], b"0\r\n\r\n"), {400}
    yield "CL twice", raw("POST", SIGN, ["Content-Length: 5"] * 2, hello), {400}
    yield "CL twice, unequal", raw("POST", SIGN, ["Content-Length: 5", "Content-Length: 6"], hello), {400}
    for value in ("5,5", "+5", "-1", "5 x", "0x5", "", "5a", "1e1", "5;5", "\xb25", "05x", "--5", "٥".encode().decode("latin1")):
        yield f"CL {value!r}", raw("POST", SIGN, [f"Content-Length: {value}"], hello), {400}
    for value in ("18446744073709551616", "99999999999999999999999999", "18446744073709551615", "9223372036854775808"):
        yield f"CL {value}", raw("POST", SIGN, [f"Content-Length: {value}"], hello), {400, 413, CLOSED}
    for value in ("identity", "gzip, chunked", "chunked, chunked", "xchunked", "chunked x", "", "chunked;q=1", "\x0bchunked", "chunked, identity"):
        yield f"TE {value!r}", raw("POST", SIGN, [f"Transfer-Encoding: {value}"], b"0\r\n\r\n"), {400}
    yield "TE twice", raw("POST", SIGN, ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"], b"0\r\n\r\n"), {400}
    yield "TE in 1.0", raw("POST", SIGN, ["Transfer-Encoding: chunked"], b"0\r\n\r\n", version="HTTP/1.0"), {400}
    for name in ("Content-Length ", "Content-Length\t", " Content-Length", "Content-Length\x0b", "Content\0Length"):
        yield f"name {name!r}", raw("POST", SIGN, [f"{name}: 5"], hello), {400, CLOSED}
    for line in ("ffffffffffffffff", "fffffffffffffffff", "-5", "+5", "0x5", "5 ", " 5", "", "g", "5\0", "5,"):
        yield f"chunk {line!r}", chunked(line.encode() + b"\r\nhello\r\n0\r\n\r\n"), {400, 413, CLOSED}
    yield "chunk without end", chunked(b"5\r\nhelloXX0\r\n\r\n"), {400, CLOSED}
    yield "chunk and half", chunked(b"5\r\nhello\r\n5\r\nhe"), {CLOSED}
    yield "trailer CL", chunked(b"2\r\n{}\r\n0\r\nContent-Length: 3\r\n\r\n"), {400}
    yield "trailer Host", chunked(b"2\r\n{}\r\n0\r\nHost: evil\r\n\r\n"), {400}
    yield "chunk size line too long", chunked(b"5;" + b"a" * 30000 + b"\r\nhello\r\n0\r\n\r\n"), {400, 413, 431, 500, CLOSED}  # the library's own 500


def lines():
    """Header lines that parsers read differently."""
    for name, text in {
        "bare LF": b"GET /upcheck HTTP/1.1\nHost: localhost\n\n",
        "one bare LF": b"GET /upcheck HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n",
        "last bare LF": b"GET /upcheck HTTP/1.1\r\nHost: localhost\r\n\n",
        "LF CR": b"GET /upcheck HTTP/1.1\r\nHost: localhost\n\r\n\r",
        "lone CR in a value": b"GET /upcheck HTTP/1.1\r\nHost: localhost\r\nX: a\rContent-Length: 5\r\n\r\n",
        "lone CR in Host": b"GET /upcheck HTTP/1.1\r\nHost: localhost\rX: b\r\n\r\n",
        "CR CR LF": b"GET /upcheck HTTP/1.1\r\nHost: localhost\r\r\n\r\n",
        "only CR": b"GET /upcheck HTTP/1.1\rHost: localhost\r\r",
        "folded": b"GET /upcheck HTTP/1.1\r\nHost: localhost\r\nX: b\r\n c\r\n\r\n",
        "folded by tab": b"GET /upcheck HTTP/1.1\r\nHost: localhost\r\nX: b\r\n\tc\r\n\r\n",
        "folded first": b"GET /upcheck HTTP/1.1\r\n Host: localhost\r\n\r\n",
        "folded CL": b"POST /upcheck HTTP/1.1\r\nHost: localhost\r\nContent-Length:\r\n 5\r\n\r\nhello",
        "no colon": b"GET /upcheck HTTP/1.1\r\nHost: localhost\r\nzqxmark\r\n\r\n",
        "no name": b"GET /upcheck HTTP/1.1\r\nHost: localhost\r\n: b\r\nX: y\r\n\r\n",
        "only a colon": b"GET /upcheck HTTP/1.1\r\nHost: localhost\r\n:\r\n\r\n",
        "no name, then a request": b"POST /upcheck HTTP/1.1\r\nHost: localhost\r\n:a\r\n\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n",
        "NUL in a name": b"GET /upcheck HTTP/1.1\r\nHost: localhost\r\nX\0Y: b\r\n\r\n",
        "NUL in a value": b"GET /upcheck HTTP/1.1\r\nHost: localhost\r\nX: b\0c\r\n\r\n",
        "NUL starts a line": b"GET /upcheck HTTP/1.1\r\nHost: localhost\r\n\0X: b\r\n\r\n",
        "NUL in Host": b"GET /healthcheck HTTP/1.1\r\nHost: localhost\0.evil\r\n\r\n",
        "name with parentheses": b"GET /upcheck HTTP/1.1\r\nHost: localhost\r\nX(y): b\r\n\r\n",
        "name with a space": b"GET /upcheck HTTP/1.1\r\nHost: localhost\r\nX y: b\r\n\r\n",
        "name of high bytes": b"GET /upcheck HTTP/1.1\r\nHost: localhost\r\nX\xff: b\r\n\r\n",
        "quoted name": b'GET /upcheck HTTP/1.1\r\nHost: localhost\r\n"X": b\r\n\r\n',
        "control in a value": b"GET /upcheck HTTP/1.1\r\nHost: localhost\r\nX: a\x01b\r\n\r\n",
        "DEL in a value": b"GET /upcheck HTTP/1.1\r\nHost: localhost\r\nX: a\x7fb\r\n\r\n",
        "escape in a value": b"GET /upcheck HTTP/1.1\r\nHost: localhost\r\nX: \x1b[31m\r\n\r\n",
    }.items():
        yield name, text, {400, CLOSED}


def request_lines():
    """The first line."""
    for name, text, right in [
        ("no version", b"GET /upcheck\r\nHost: localhost\r\n\r\n", {400}),
        ("HTTP/0.9", raw("GET", "/upcheck", version="HTTP/0.9"), {400, 505}),
        ("HTTP/1.2", raw("GET", "/upcheck", version="HTTP/1.2"), {505}),
        ("HTTP/2.0", raw("GET", "/upcheck", version="HTTP/2.0"), {505}),
        ("HTTP/1.10", raw("GET", "/upcheck", version="HTTP/1.10"), {400, 505}),
        ("lower-case version", raw("GET", "/upcheck", version="http/1.1"), {400}),
        ("junk version", raw("GET", "/upcheck", version="HTTP/1.1x"), {400}),
        ("h2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505}),
        ("two spaces", b"GET  /upcheck HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
        ("two spaces before the version", b"GET /upcheck  HTTP/1.1\r\nHost: localhost\r\n\r\n", {400, CLOSED}),
        ("tabs", b"GET\t/upcheck\tHTTP/1.1\r\nHost: localhost\r\n\r\n", {400, CLOSED}),
        ("space first", b" GET /upcheck HTTP/1.1\r\nHost: localhost\r\n\r\n", {400, CLOSED}),
        ("space in the target", b"GET /up check HTTP/1.1\r\nHost: localhost\r\n\r\n", {400, CLOSED}),
        ("NUL in the target", b"GET /upcheck\0zqxmark HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
        ("NUL in the method", b"GE\0T /upcheck HTTP/1.1\r\nHost: localhost\r\n\r\n", {400, CLOSED}),
        ("absolute target", raw("GET", "http://localhost/upcheck"), {400}),
        ("absolute target elsewhere", raw("GET", "http://evil/upcheck"), {400}),
        ("CONNECT", raw("CONNECT", "evil:443"), {400}),
        ("OPTIONS *", raw("OPTIONS", "*"), {400}),
        ("OPTIONS", raw("OPTIONS", "/upcheck"), {405}),
        ("TRACE", raw("TRACE", "/upcheck"), {405}),
        ("PATCH", raw("PATCH", SIGN), {405}),
        ("DELETE", raw("DELETE", "/api/v1/eth2/publicKeys"), {405}),
        ("lower-case method", raw("get", "/upcheck"), {405}),
        ("method of odd characters", raw("G@T", "/upcheck"), {405}),
        ("long method", raw("A" * 3000, "/upcheck"), {405}),
        ("method larger than the header", raw("A" * 40000, "/upcheck"), {400, 414, 431, CLOSED}),
        ("long target", raw("GET", "/" + "a" * 8000), {404}),
        ("larger target", raw("GET", "/" + "a" * 40000), {414, 431}),
        ("long query", raw("GET", "/upcheck?" + "a" * 40000), {414, 431}),
        ("fragment", raw("GET", "/nothing#/upcheck"), {404}),
        ("dot segments", raw("GET", "/x/../upcheck"), {404}),
        ("encoded slash", raw("GET", "/api%2fv1/eth2/publicKeys"), {404}),
        ("encoded NUL", raw("GET", "/upcheck%00"), {404}),
        ("encoded CRLF", raw("GET", "/upcheck%0d%0aX:%20y"), {404}),
        ("broken escape", raw("GET", "/upcheck%z"), {404}),
        ("half an escape", raw("GET", "/upcheck%"), {404}),
        ("double escape", raw("GET", "/%2575pcheck"), {404}),
        ("overlong UTF-8", raw("GET", "/%c0%afupcheck"), {404}),
        ("backslash", raw("GET", "/\\upcheck"), {404}),
        ("another case", raw("GET", "/UPCHECK"), {404}),
        ("metrics on the API port", raw("GET", "/metrics"), {404}),
    ]:
        yield name, text, right


def hosts():
    """Who may be asked."""
    for name, text, right in [
        ("no Host", raw("GET", "/healthcheck", host=None), {400}),
        ("empty Host", raw("GET", "/healthcheck", host=""), {403}),
        ("other Host", raw("GET", "/healthcheck", host=MARK), {403}),
        ("rebinding", raw("POST", SIGN, ["Content-Length: 2"], b"{}", host=f"{MARK}.example:9000"), {403}),
        ("Host twice", raw("GET", "/healthcheck", ["Host: localhost"]), {400}),
        ("Host twice, unequal", raw("GET", "/healthcheck", ["Host: evil"]), {400}),
        ("long Host", raw("GET", "/healthcheck", host="a" * 300), {400}),
        ("Host with user", raw("GET", "/healthcheck", host=f"localhost@{MARK}"), {403}),
        ("Host with path", raw("GET", "/healthcheck", host=f"localhost/{MARK}"), {403}),
        ("Host prefix", raw("GET", "/healthcheck", host=f"localhost.{MARK}"), {403}),
        ("Host list", raw("GET", "/healthcheck", host="localhost, evil"), {403}),
        ("Origin", raw("GET", "/upcheck", [f"Origin: http://{MARK}"]), {403}),
        ("null Origin", raw("POST", SIGN, ["Origin: null", "Content-Length: 2"], b"{}"), {403}),
        ("reload without a token", raw("POST", "/reload", ["Content-Length: 0"]), {401}),
        ("reload with some token", raw("POST", "/reload", ["Content-Length: 0", f"Authorization: Bearer {MARK}"]), {401}),
        ("two tokens", raw("POST", "/reload", ["Content-Length: 0", f"Authorization: Bearer {MARK}", f"Authorization: Bearer {MARK}"]), {400}),
        ("a token of 8 KiB", raw("POST", "/reload", ["Content-Length: 0", "Authorization: Bearer " + MARK * 1200]), {401}),
        ("a token of 40 KiB", raw("POST", "/reload", ["Content-Length: 0", "Authorization: Bearer " + MARK * 6000]), {431}),
        ("a zero in a token", raw("POST", "/reload", ["Content-Length: 0", f"Authorization: Bearer {MARK}\0x"]), {400}),
        *((f"Authorization {value!r}", raw("POST", "/reload", ["Content-Length: 0", f"Authorization: {value}"]), {401}) for value in (
            "", "Bearer", "Bearer ", f"Bearer {MARK} {MARK}", f"Bearer {MARK}, Basic YTpi", "Basic", "Basic !!!!", "Basic YTp", "Basic YTpiYw", "Basic YTo=",
            "Basic Og==", "Basic YWI=", "Basic YTpiAA==", "Basic AGE6Yg==", f"Digest username={MARK}", "Negotiate abc", "\xff\xfe")),
        ("publicKeys as text", raw("GET", "/api/v1/eth2/publicKeys", ["Accept: text/plain"]), {406}),
        ("gzip body", post(b"\x1f\x8b\x08\0", ["Content-Encoding: gzip"]), {415}),
        ("big header", raw("GET", "/upcheck", ["X: " + "a" * 40000]), {431}),
        ("many headers", raw("GET", "/upcheck", [f"X{i}: a" for i in range(3000)]), {431}),
    ]:
        yield name, text, right


def identifiers():
    """Keys in the path."""
    body = messages.attestation(0, 1)
    for text in ("0x", "x", "0x00", KEY[:-1], KEY[:-2], KEY + "00", KEY[:-1] + "g", "0x0x" + KEY[4:], "%30x" + KEY[2:] + "%20",
                 "0" * 96 + "0", "..", "%2e%2e", "a" * 255, "a" * 256, "a" * 3000, "null", "0X" + KEY[3:], "%00" + KEY):
        yield f"identifier {text[:20]}…{len(text)}", post(body, path=f"/api/v1/eth2/sign/{text}"), {400}
    yield "no identifier", post(body, path=f"{BATCH}/"), {400}  # where an array is expected
    yield "two identifiers", post(body, path=f"{SIGN}/{KEY}"), {404}
    yield "unknown key", post(body, path="/api/v1/eth2/sign/0x" + "ab" * 48), {404}
    yield "other unknown key", post(body, path="/api/v1/eth2/sign/" + "AB" * 48), {404}


def changed(path, value):
    """An attestation request with the member at `path` replaced, or removed when `value` is ...; as JSON text."""
    request = json.loads(json.dumps(messages.attestation(0, 1)))
    at = request
    for step in path[:-1]:
        at = at[step]
    if value is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return json.dumps(request).encode()


def texts():
    """Bodies that are no JSON, or not only."""
    good = json.dumps(messages.attestation(0, 1))
    for name, body in {
        "empty": b"",
        "blank": b" \r\n\t ",
        "word": b"zqxmark",
        "NUL": b"\0",
        "binary": bytes(range(256)),
        "gzip bytes": b"\x1f\x8b\x08\0\0\0\0\0",
        "form": b"type=ATTESTATION",
        "XML": b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
        "byte order mark": b"\xef\xbb\xbf" + good.encode(),
        "UTF-16": good.encode("utf-16"),
        "array": b"[]",
        "number": b"1",
        "string": b'"a"',
        "null": b"null",
        "true": b"true",
        "empty object": b"{}",
        "open object": b"{",
        "open string": b'{"type',
        "cut": good.encode()[:-1],
        "half": good.encode()[: len(good) // 2],
        "two": good.encode() * 2,
        "trailing word": good.encode() + b" x",
        "trailing brace": good.encode() + b"}",
        "trailing NUL": good.encode() + b"\0",
        "trailing comma": good.encode()[:-1] + b",}",
        "comment": b"/* x */" + good.encode(),
        "single quotes": good.replace('"', "'").encode(),
        "bare keys": b"{type:1}",
        "no colon": b'{"type" "ATTESTATION"}',
        "no comma": b'{"type":"ATTESTATION" "x":1}',
        "lone surrogate": b'{"type":"\\ud800"}',
        "bad escape": b'{"type":"\\x41"}',
        "short escape": b'{"type":"\\u12"}',
        "raw newline": b'{"type":"a\nb"}',
        "bad UTF-8": b'{"type":"\xff\xfe"}',
        "overlong UTF-8": b'{"type":"\xc0\xaf"}',
        "surrogate as UTF-8": b'{"type":"\xed\xa0\x80"}',
        "beyond Unicode": b'{"type":"\xf4\x90\x80\x80"}',
        "NaN": b'{"type":NaN}',
        "Infinity": b'{"type":-Infinity}',
        "hex number": b'{"type":0x10}',
        "plus number": b'{"type":+1}',
        "leading zero": b'{"type":01}',
        "lone minus": b'{"type":-}',
        "deep arrays": b"[" * 5000,
        "deep objects": b'{"a":' * 5000,
        "deep and closed": b'{"type":' + b"[" * 65 + b"]" * 65 + b"}",
        "deep strings": b'{"type":"' + b"[" * 100 + b'"}',
        "the same key twice": b'{"type":"ATTESTATION",' + good.encode()[1:],
        "the same key escaped": b'{"\\u0074ype":"ATTESTATION",' + good.encode()[1:],
        "the same key below": good.replace('"slot"', '"slot":"1","slot"').encode(),
        "the same key, unknown": b'{"zz":1,"zz":1,' + good.encode()[1:],
        "many keys": b"{" + b",".join(b'"k%d":0' % i for i in range(20000)) + b"}",
        "a long string": b'{"type":"' + b"a" * 500000 + b'"}',
        "a long number": b'{"type":' + b"1" * 500000 + b"}",
        "__proto__": b'{"__proto__":{"type":"ATTESTATION"}}',
    }.items():
        yield f"text: {name}", post(body), {400, 413}


NUMBERS = {
    "2^64": "18446744073709551616",
    "2^64 as a number": 18446744073709551616,
    "2^65+1": "36893488147419103233",
    "a long number": "9" * 400,
    "minus": "-1",
    "minus as a number": -1,
    "fraction": 1.5,
    "1.0": 1.0,
    "exponent": "1e3",
    "hex": "0x10",
    "empty": "",
    "blank": " 1",
    "plus": "+1",
    "underscore": "1_0",
    "null": None,
    "bool": True,
    "array": ["1"],
    "object": {"a": 1},
    "Arabic digits": "١",
    "NUL inside": "1\0",
}
ROOTS = {
    "too long": "0x" + "00" * 33,
    "odd": "0x" + "0" * 63,
    "no hex": "0x" + "zz" * 32,
    "number": 5,
    "null": None,
    "array": [],
    "object": {},
    "double prefix": "0x0x" + "00" * 31,
    "blank": " 0x" + "00" * 32,
}


def values():
    """Fields with wrong values, missing, or of the wrong type."""
    numbers = [("attestation", "slot"), ("attestation", "source", "epoch"), ("attestation", "target", "epoch"),
               ("fork_info", "fork", "epoch")]
    for at, path in enumerate(numbers):
        for number, (name, value) in enumerate(NUMBERS.items()):
            if at == 0 or number % 4 == at % 4:
                yield f"{'.'.join(path)} {name}", post(changed(path, value)), {400}
    roots = [("attestation", "beacon_block_root"), ("attestation", "source", "root"), ("fork_info", "genesis_validators_root")]
    for path in roots:
        for name, value in ROOTS.items():
            yield f"{'.'.join(path)} {name}", post(changed(path, value)), {400}
    for path in [("type",), ("attestation",), ("fork_info",), ("fork_info", "fork"), ("attestation", "slot"), ("attestation", "index"),
                 ("attestation", "source"), ("attestation", "target"), ("attestation", "target", "root"),
                 ("fork_info", "fork", "current_version"), ("fork_info", "genesis_validators_root")]:
        yield f"without {'.'.join(path)}", post(changed(path, ...)), {400}
        yield f"null {'.'.join(path)}", post(changed(path, None)), {400}
        yield f"array {'.'.join(path)}", post(changed(path, [])), {400}
    for name in ("", MARK, "attestation ", "ATTESTATION\0", "BLOCK_V3", "A" * 5000, 5, True, {}, "BLOB_SIDECAR"):
        yield f"type {str(name)[:12]!r}", post(changed(("type",), name)), {400}
    for name, value in {"short": "0x00", "long": "0x0000000100", "no hex": "0xzzzzzzzz"}.items():
        yield f"version {name}", post(changed(("fork_info", "fork", "current_version"), value)), {400}
    yield "wrong root", post({**messages.attestation(0, 1), "signingRoot": "0x" + "11" * 32}), {400}
    yield "wrong root, other name", post({**messages.attestation(0, 1), "signing_root": "0x" + "11" * 32}), {400}
    yield "root of junk", post({**messages.attestation(0, 1), "signingRoot": MARK}), {400}
    yield "other network", post(messages.attestation(0, 1, genesis_root="0x" + "22" * 32)), {403}
    yield "exit", post({"type": "VOLUNTARY_EXIT", "fork_info": messages.fork_info(), "voluntary_exit": {"epoch": "1", "validator_index": "1"}}), {403}
    yield "source after target", post(messages.attestation(5, 1)), {412}


def sizes():
    """Bodies beyond the limits."""
    padded = json.dumps(messages.attestation(0, 1)).encode()
    for size in ((1 << 20) + 1, 3 << 20):
        yield f"{size} bytes", post(padded.ljust(size)), {413, CLOSED}
        yield f"{size} bytes in chunks", chunked(b"%x\r\n" % size + padded.ljust(size) + b"\r\n0\r\n\r\n"), {413, CLOSED}
    yield "32 MiB and one, announced", raw("POST", SIGN, [f"Content-Length: {(32 << 20) + 1}"]), {413}
    yield "a body for upcheck, announced", raw("GET", "/upcheck", ["Content-Length: 99999999"]), {413}
    yield "envelope that is none", post(b'{"type":"EXECUTION_PAYLOAD_ENVELOPE"}'.ljust(2 << 20)), {400}
    yield "400 before 100", raw("POST", SIGN, [f"Content-Length: {(32 << 20) + 1}", "Expect: 100-continue"]), {413}


def batches():
    """Bodies of the batch endpoint that are no batch; what is wrong with one item alone is test_batch.py's."""
    one = json.dumps({"identifier": KEY, **messages.attestation(0, 1)}).encode()
    broken = {
        "none": b"", "object": one, "text": b'"a"', "number": b"5", "null": b"null", "unfinished": b"[" + one, "half": b"[" + one[:-1] + b"]",
        "comma": b"[" + one + b",]", "commas": b"[,]", "two": b"[][]", "bytes after": b"[" + one + b"]" + MARK.encode(),
        "twin keys": b'[{"a":1,"\\u0061":2}]', "bad UTF-8": b'["\xc3"]', "lone surrogate": b'["\\ud800"]', "NUL": b"[\0]",
        "deep": b"[" * 65 + b"]" * 65, "deep in an item": b'[{"a":' * 33 + b"1" + b"}]" * 33, "byte order mark": b"\xef\xbb\xbf[]",
        "very deep": b"[" * 100000,
    }
    for name, body in broken.items():
        yield f"batch: {name}", post(body, path=BATCH), {400}
    yield "batch: 2,049 items", post([0] * 2049, path=BATCH), {413}
    yield "batch: a million values", post(b"[[" + b"0," * 1000000 + b"0]]", path=BATCH), {413}
    yield "batch: more than 4 MiB", post(b"[]".ljust((4 << 20) + 1), path=BATCH), {413, CLOSED}
    yield "batch: more than 4 MiB in chunks", chunked(b"400001\r\n" + b"[]".ljust((4 << 20) + 1) + b"\r\n0\r\n\r\n", BATCH), {413, CLOSED}
    yield "batch as text", post(b"[]", ["Accept: text/plain"], BATCH), {406}
    yield "batch from a page", post(b"[]", ["Origin: http://evil"], BATCH), {403}
    yield "batch by GET", raw("GET", BATCH), {405}


def junk():
    """No HTTP at all; the connection is closed by the client's end, or by the server."""
    yield "all bytes", bytes(range(256)), {400, CLOSED}
    yield "TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100), {400, CLOSED}
    yield "SSH", b"SSH-2.0-OpenSSH_9.2\r\n", {400, CLOSED}
    yield "NULs", bytes(5000), {400, 414, 431, CLOSED}
    yield "line feeds", b"\n" * 50000, {400, 414, 431, CLOSED}
    yield "CRLFs", b"\r\n" * 20000, {400, 414, 431, CLOSED}
    yield "spaces", b" " * 40000, {400, 414, 431, CLOSED}
    yield "SMTP", b"EHLO zqxmark\r\n", {400, CLOSED}
    yield "redis", b"*1\r\n$4\r\nPING\r\n", {400, CLOSED}
    yield "half a request", b"POST /upcheck HTTP/1.1\r\nHost: local", {CLOSED}
    yield "half a body", raw("POST", SIGN, ["Content-Length: 100"], b"{}"), {CLOSED}
    yield "nothing", b"", {CLOSED}


def cases():
    """All of them."""
    for family in (framing, lines, request_lines, hosts, identifiers, texts, values, sizes, batches, junk):
        yield from family()


def mutations(seed, count):
    """`count` changed copies of valid requests, single and batch: bytes flipped, cut out, doubled or put in."""
    dice = random.Random(seed)
    single = post(messages.attestation(3, 4), ["Accept: application/json"])
    batch = post([{"identifier": KEY, **messages.attestation(3, 4)}] * 2, path=BATCH)
    for number in range(count):
        text = bytearray(batch if number % 3 == 0 else single)
        for _ in range(dice.randint(1, 6)):
            at = dice.randrange(len(text))
            what = dice.randrange(4)
            if what == 0:
                text[at] = dice.randrange(256)
            elif what == 1:
                del text[at : at + dice.randint(1, 20)]
            elif what == 2:
                text[at:at] = text[at : at + dice.randint(1, 40)]
            else:
                text[at:at] = bytes([dice.choice(b"\0\r\n \t:,{}[]\"\\0x-9\xff")])
        yield bytes(text)
