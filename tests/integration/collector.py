"""A collector of traces on loopback: takes OTLP over HTTP as JSON, keeps the spans, and fails as it is told to."""
import http.server
import json
import ssl
import threading


class Collector:
    """`answers`: the statuses of the next requests; 200 when it is empty. `hold`: an Event that each one waits for first."""

    def __init__(self, *, tls=None):
        self.spans, self.resources, self.heads = [], [], []
        self.answers, self.body, self.hold = [], b"{}", None
        self.waiting = 0
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """One request."""

            protocol_version = "HTTP/1.1"

            def do_POST(self):  # noqa: N802
                """Keeps what came, if it is to be taken."""
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hold = collector.hold
                if hold:
                    collector.waiting += 1
                    hold.wait(60)
                status = collector.answers.pop(0) if collector.answers else 200
                if status == 200:
                    collector.take(self, json.loads(body))
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(collector.body)))
                    self.end_headers()
                    self.wfile.write(collector.body)
                except OSError:
                    pass  # whoever asked has given up

            def log_message(self, *_):  # pylint: disable=arguments-differ
                """Nothing on standard error."""

        class Server(http.server.ThreadingHTTPServer):
            """Says nothing of a connection that breaks."""

            daemon_threads = True

            def handle_error(self, *_):
                """A handshake that a client ends is what some tests want."""

        self.server = Server(("127.0.0.1", 0), Handler)
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*tls)  # and later, for connections to come, another
            self.server.socket = self.context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def take(self, handler, message):
        """Checks the form that OTLP's JSON has, strictly, and keeps the spans."""
        assert set(message) == {"resourceSpans"}
        self.heads.append((handler.path, handler.headers["Content-Type"]))
        for resource in message["resourceSpans"]:
            self.resources.append(attributes(resource["resource"]))
            for scope in resource["scopeSpans"]:
                self.spans.extend(scope["spans"])

    def requests(self, trace_id=None):
        """The spans of requests, of one trace or of all."""
        return [s for s in self.spans if s["kind"] == 2 and trace_id in (None, s["traceId"])]

    def stages(self, request):
        """The spans below a request's, by name."""
        found = [s for s in self.spans if s.get("parentSpanId") == request["spanId"] and s["kind"] == 1]
        assert len({s["name"] for s in found}) == len(found)
        return {s["name"]: s for s in found}

    def close(self):
        """Ends it; its port is free again."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)


def attributes(of):
    """{key: value} of a resource or a span; 64-bit integers are strings there."""
    values = {}
    for attribute in of.get("attributes", []):
        ((kind, value),) = attribute["value"].items()
        assert isinstance(value, str) and kind in ("stringValue", "intValue")
        values[attribute["key"]] = int(value) if kind == "intValue" else value
    return values
