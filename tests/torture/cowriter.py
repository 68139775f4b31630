"""Another signer on the same database: Web3Signer's documented transactions, done by hand, over a connection of our own.

What it commits asynchronously it never calls released: a signer that answers before its record is durable has a hole of
its own. But the record is there for others to see, and to repeat."""
import socket
import struct
import time


class Refused(Exception):
    """The database answered with an error."""


class Session:
    """PostgreSQL's simple query protocol, for a role that needs no password."""

    def __init__(self, sock, user):
        self.sock, self.file = sock, sock.makefile("rb")
        words = b"".join(text.encode() + b"\0" for text in ("user", user, "database", "postgres", "application_name", "web3signer"))
        body = struct.pack("!i", 196608) + words + b"\0"
        sock.sendall(struct.pack("!i", len(body) + 4) + body)
        self._rows()

    def sql(self, text):
        """The rows, as tuples of str or None."""
        body = text.encode() + b"\0"
        self.sock.sendall(b"Q" + struct.pack("!i", len(body) + 4) + body)
        return self._rows()

    def _read(self, length):
        data = self.file.read(length)
        if len(data) < length:
            raise ConnectionError("the database hung up")
        return data

    def _rows(self):
        rows, error = [], None
        while True:
            kind, length = struct.unpack("!ci", self._read(5))
            body = self._read(length - 4)
            if kind == b"D":
                rows.append(_fields(body))
            elif kind == b"E":
                error = body.decode(errors="replace")
            elif kind == b"Z":
                if error:
                    raise Refused(error)
                return rows

    def close(self):
        """Without a farewell."""
        self.file.close()
        self.sock.close()


def _fields(body):
    fields, at = [], 2
    for _ in range(struct.unpack_from("!h", body)[0]):
        (length,) = struct.unpack_from("!i", body, at)
        at += 4
        fields.append(None if length < 0 else body[at : at + length].decode())
        at += max(0, length)
    return tuple(fields)


def attestation(session, key, source, target, root):
    """True where Web3Signer would sign; the transaction is open."""
    ((number, enabled),) = session.sql(f"SELECT id, enabled FROM validators WHERE public_key = '\\x{key}'")
    session.sql(f"SELECT pg_advisory_xact_lock(1, {number})")
    ((high,),) = session.sql("SELECT high_watermark_epoch FROM metadata WHERE id = 1")
    low = session.sql(f"SELECT source_epoch, target_epoch FROM low_watermarks WHERE validator_id = {number} AND source_epoch IS NOT NULL")
    if enabled != "t" or source > target or (high and target >= int(high)):
        return False
    if low and (source < int(low[0][0]) or target < int(low[0][1])):
        return False
    mine = f"SELECT encode(signing_root, 'hex') FROM signed_attestations WHERE validator_id = {number}"
    same = session.sql(f"{mine} AND target_epoch = {target}")
    if same:
        return same[0][0] == root
    if session.sql(f"{mine} AND source_epoch < {source} AND target_epoch > {target} LIMIT 1"):
        return False
    if session.sql(f"{mine} AND source_epoch > {source} AND target_epoch < {target} LIMIT 1"):
        return False
    session.sql("INSERT INTO signed_attestations (validator_id, source_epoch, target_epoch, signing_root)"
                f" VALUES ({number}, {source}, {target}, '\\x{root}')")
    if not low:
        session.sql(f"INSERT INTO low_watermarks (validator_id, source_epoch, target_epoch) VALUES ({number}, {source}, {target})"
                    " ON CONFLICT (validator_id) DO UPDATE SET source_epoch = EXCLUDED.source_epoch,"
                    " target_epoch = EXCLUDED.target_epoch")
    return True


def block(session, key, slot, root):
    """True where Web3Signer would sign; the transaction is open."""
    ((number, enabled),) = session.sql(f"SELECT id, enabled FROM validators WHERE public_key = '\\x{key}'")
    session.sql(f"SELECT pg_advisory_xact_lock(0, {number})")
    ((high,),) = session.sql("SELECT high_watermark_slot FROM metadata WHERE id = 1")
    low = session.sql(f"SELECT slot FROM low_watermarks WHERE validator_id = {number} AND slot IS NOT NULL")
    if enabled != "t" or (high and slot >= int(high)) or (low and slot < int(low[0][0])):
        return False
    same = session.sql(f"SELECT encode(signing_root, 'hex') FROM signed_blocks WHERE validator_id = {number} AND slot = {slot}")
    if same:
        return same[0][0] == root
    session.sql(f"INSERT INTO signed_blocks (validator_id, slot, signing_root) VALUES ({number}, {slot}, '\\x{root}')")
    if not low:
        session.sql(f"INSERT INTO low_watermarks (validator_id, slot) VALUES ({number}, {slot})"
                    " ON CONFLICT (validator_id) DO UPDATE SET slot = EXCLUDED.slot")
    return True


class CoWriter:
    """Asks as a Client of the workload does."""

    def __init__(self, log, connect, user):
        self.log, self.connect, self.user = log, connect, user
        self.session = None

    def ask(self, message, durable):
        """One transaction; its outcome goes into the log. Not durable: a record without a release."""
        try:
            if self.session is None:
                sock = self.connect()
                sock.settimeout(6)
                self.session = Session(sock, self.user)
            signed = self._transaction(message, durable)
        except (OSError, Refused, ValueError):
            self.close()
            time.sleep(0.02)
            signed = None
        outcome = "unknown" if signed is None or (signed and not durable) else "ok" if signed else "refused"
        self.log.write(event="answer", outcome=outcome, client="co-writer", signer="web3signer", signature=None,
                       **message.described())
        return signed

    def _transaction(self, message, durable):
        session = self.session
        session.sql("BEGIN ISOLATION LEVEL READ COMMITTED")
        if not durable:
            session.sql("SET LOCAL synchronous_commit = off")
        check = attestation if message.kind == "vote" else block
        signed = check(session, message.pubkey[2:], *message.numbers, message.root[2:])
        session.sql("COMMIT" if signed else "ROLLBACK")
        return signed

    def close(self):
        """The next question connects again."""
        if self.session:
            self.session.close()
        self.session = None


def reach(server):
    """A socket to a server of postgres.py."""
    end = socket.socket(socket.AF_UNIX)
    end.connect(f"{server.socket}/.s.PGSQL.{server.port}")
    return end
