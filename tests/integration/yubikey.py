"""A YubiKey as a program behind a Unix socket, as builds for tests take one for a device (src/seal/factor_test_token.h): slot 2, HMAC-SHA1."""
import hashlib
import hmac
import socket
import threading


def crc16(data):
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8408 if crc & 1 else 0)
    return crc


class YubiKey:
    def __init__(self, path, secret=b"0123456789abcdefghij", touch=2):
        self.path, self.secret, self.touch = str(path), secret, touch
        self.challenges = []
        self.frame, self.parts, self.waiting = bytearray(70), None, 0
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(self.path)
        self.listener.listen(4)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def answer(self, challenge):
        return hmac.new(self.secret, challenge, hashlib.sha1).digest()

    def close(self):
        self.listener.close()

    def take(self, report):
        flags = report[7]
        if flags == 0xFF:
            self.parts = None
        elif flags & 0x80:
            part = flags & 0x1F
            if part == 0:
                self.frame = bytearray(70)
            self.frame[7 * part : 7 * part + 7] = report[:7]
            if part == 9 and self.frame[64] == 0x38 and crc16(self.frame[:64]) == int.from_bytes(self.frame[65:67], "little"):
                challenge = bytes(self.frame[:64]).rstrip(self.frame[63:64])
                self.challenges.append(challenge)
                mac = self.answer(challenge)
                whole = mac + (crc16(mac) ^ 0xFFFF).to_bytes(2, "little") + bytes(6)
                self.parts, self.waiting = [whole[7 * i : 7 * i + 7] + bytes([0x40 | i]) for i in range(4)], self.touch

    def give(self):
        if self.parts is None:
            return bytes([0, 5, 4, 3, 1, 2, 0, 0])
        if self.waiting:
            self.waiting -= 1
            return bytes(7) + b"\x20"
        return self.parts.pop(0) if self.parts else bytes(7) + b"\x40"

    def serve(self):
        while True:
            try:
                line, _ = self.listener.accept()
            except OSError:
                return
            with line:
                while message := line.recv(16):
                    if message[:1] == b"S":
                        self.take(message[1:])
                        line.send(bytes(8))
                    else:
                        line.send(self.give())
