"""BLS signatures in plain Python, as RFC 9380 and the consensus specification have them: a signer of tests that shares nothing with the
program. Ten milliseconds for each new message, and next to nothing more for a key whose secret is small."""
import functools
import hashlib
import threading

from bls_keys import P

DST = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_"
X = -0xD201000000010000  # the parameter of the curve

# RFC 9380, 8.8.2: the curve that is isogenous to G2's, and the map's constant.
A, B, Z = (0, 240), (1012, 1012), (P - 2, P - 1)
# RFC 9380, E.3: the isogeny, by rising powers.
C = 0x5C759507E8E333EBB5B7A9A47D7ED8532C52D39FD3A042A88B58423C50AE15D5C2638E343D9C71C6238AAAAAAAA97D6
D = 0x11560BF17BAA99BC32126FCED787C88F984F87ADF7AE0C7F9A208C6B4F20A4181472AAA9CB8D555526A9FFFFFFFFC71A
E = 0x8AB05F8BDD54CDE190937E76BC3E447CC27C3D6FBD7063FCD104635A790520C0A395554E5C6AAAA9354FFFFFFFFE38D
F = 0x1530477C7AB4113B59A4C18B076D11930F7DA5D4A07F649BF54439D87D27E500FC8C25EBF8C92F6812CFC71C71C6D706
X_NUM = ((C, C), (0, D), (D + 4, E), (0x171D6541FA38CCFAED6DEA691F5FB614CB14B4E7F4E810AA22D6108F142B85757098E38D0F671C7188E2AAAAAAAA5ED1, 0))
X_DEN = ((0, P - 72), (12, P - 12), (1, 0))
Y_NUM = ((F, F), (0, C - 24), (D + 2, E + 2), (0x124C9AD43B6CF79BFBF7043DE3811AD0761B0F37A1E26286B0E977C69AA274524E79097A56DC4BD9E1B371C71C718B10, 0))
Y_DEN = ((P - 432, P - 432), (0, P - 216), (18, P - 18), (1, 0))


# --- numbers a + bi ---------------------------------------------------------------------------------------------------------


def _add(a, b):
    return (a[0] + b[0]) % P, (a[1] + b[1]) % P


def _sub(a, b):
    return (a[0] - b[0]) % P, (a[1] - b[1]) % P


def _mul(a, b):
    return (a[0] * b[0] - a[1] * b[1]) % P, (a[0] * b[1] + a[1] * b[0]) % P


def _inverse(a):
    norm = pow(a[0] * a[0] + a[1] * a[1], -1, P)
    return a[0] * norm % P, -a[1] * norm % P


def _power(a, exponent):
    result = (1, 0)
    for bit in bin(exponent)[2:]:
        result = _mul(result, result)
        if bit == "1":
            result = _mul(result, a)
    return result


def _root(a):
    """A square root; None where there is none."""
    norm = pow(a[0] * a[0] + a[1] * a[1], (P + 1) // 4, P)
    half = (P + 1) // 2
    for real in ((a[0] + norm) * half % P, (a[0] - norm) * half % P):
        x = pow(real, (P + 1) // 4, P)
        found = (x, a[1] * pow(2 * x, -1, P) % P) if x else (0, pow(-a[0] % P, (P + 1) // 4, P))
        if _mul(found, found) == a:
            return found
    return None


def _odd(a):
    """The sign, as RFC 9380 has it."""
    return a[0] & 1 if a[0] else a[1] & 1


def _polynomial(coefficients, x):
    result = (0, 0)
    for coefficient in reversed(coefficients):
        result = _add(_mul(result, x), coefficient)
    return result


# --- points; None is the one at infinity ---------------------------------------------------------------------------------


def _plus(p, q):
    if p is None or q is None:
        return q if p is None else p
    if p[0] == q[0]:
        if p[1] != q[1] or p[1] == (0, 0):
            return None
        square = _mul(p[0], p[0])
        slope = _mul(_add(square, _add(square, square)), _inverse(_add(p[1], p[1])))
    else:
        slope = _mul(_sub(q[1], p[1]), _inverse(_sub(q[0], p[0])))
    x = _sub(_sub(_mul(slope, slope), p[0]), q[0])
    return x, _sub(_mul(slope, _sub(p[0], x)), p[1])


def _minus(p):
    return p if p is None else (p[0], _sub((0, 0), p[1]))


def _times(number, p):
    result, p = None, p if number > 0 else _minus(p)
    for bit in bin(abs(number))[2:]:
        result = _plus(result, result)
        if bit == "1":
            result = _plus(result, p)
    return result


PSI = tuple(_inverse(_power((1, 1), (P - 1) // k)) for k in (3, 2))


def _psi(p):
    """The endomorphism by which RFC 9380, G.3, clears the cofactor."""
    return tuple(_mul((c[0], -c[1] % P), k) for c, k in zip(p, PSI))


def _clear_cofactor(p):
    times_x, psi = _times(X, p), _psi(p)
    rest = _plus(_psi(_psi(_plus(p, p))), _minus(psi))
    rest = _plus(rest, _times(X, _plus(times_x, psi)))
    return _plus(_plus(rest, _minus(times_x)), _minus(p))


# --- messages -------------------------------------------------------------------------------------------------------------


def _expand(message, length):
    """expand_message_xmd with SHA-256."""
    dst = DST + bytes([len(DST)])
    first = hashlib.sha256(bytes(64) + message + length.to_bytes(2, "big") + b"\0" + dst).digest()
    block, out = bytes(32), b""
    for number in range(1, length // 32 + 1):
        block = hashlib.sha256(bytes(a ^ b for a, b in zip(first, block)) + bytes([number]) + dst).digest()
        out += block
    return out


def _map(u):
    """A point of G2's curve: the simplified SWU map, then the isogeny."""
    zu = _mul(Z, _mul(u, u))
    tail = _add(_mul(zu, zu), zu)
    if tail == (0, 0):
        x = _mul(B, _inverse(_mul(Z, A)))
    else:
        x = _mul(_mul(_sub((0, 0), B), _inverse(A)), _add((1, 0), _inverse(tail)))
    y = _root(_polynomial((B, A, (0, 0), (1, 0)), x))
    if y is None:
        x = _mul(zu, x)
        y = _root(_polynomial((B, A, (0, 0), (1, 0)), x))
    if _odd(u) != _odd(y):
        y = _sub((0, 0), y)
    return (_mul(_polynomial(X_NUM, x), _inverse(_polynomial(X_DEN, x))),
            _mul(y, _mul(_polynomial(Y_NUM, x), _inverse(_polynomial(Y_DEN, x)))))


@functools.lru_cache(maxsize=256)
def _hash(message):
    data = _expand(message, 256)
    numbers = [int.from_bytes(data[at : at + 64], "big") % P for at in range(0, 256, 64)]
    return _clear_cofactor(_plus(_map(tuple(numbers[:2])), _map(tuple(numbers[2:]))))


LOCK = threading.Lock()  # many clients ask for one message at once


def sign(secret, root):
    """The signature of `root`, 0x + hex, by the 32 bytes of `secret`; as 0x + hex."""
    with LOCK:
        point = _hash(bytes.fromhex(root[2:]))
    x, y = _times(int.from_bytes(secret, "big"), point)
    larger = y[1] > P - y[1] if y[1] else y[0] > P - y[0]
    text = bytearray(x[1].to_bytes(48, "big") + x[0].to_bytes(48, "big"))
    text[0] |= 0x80 | (0x20 if larger else 0)
    return "0x" + text.hex()
