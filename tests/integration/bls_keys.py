"""Any number of BLS test keys, in plain Python: secrets that count up from a base, so that each public key is one addition."""
import functools

P = 0x1A0111EA397FE69A4B1BA7B6434BACD764774B84F38512BF6730D2A0F6B0F6241EABFFFEB153FFFFB9FEFFFFFFFFAAAB
G = (
    0x17F1D3A73197D7942695638C4FA9AC0FC3688C4F9774B905A14E3A3F171BAC586C55E83FF97A1AEFFB3AF00ADB22C6BB,
    0x08B3F481E3AAA0F1A09E30ED741D8AE4FCF5E095D5D00AF600DB18CB2C04B3EDD03CC744A2888AE40CAA232946C5E7E1,
)


def _add(a, b):
    if a is None:
        return b
    slope = 3 * a[0] * a[0] * pow(2 * a[1], -1, P) if a == b else (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def _times(number):
    """number * G."""
    result, doubled = None, G
    while number:
        if number & 1:
            result = _add(result, doubled)
        doubled = _add(doubled, doubled)
        number >>= 1
    return result


def _compressed(point):
    flags = 0x80 | (0x20 if point[1] > P - point[1] else 0)
    text = bytearray(point[0].to_bytes(48, "big"))
    text[0] |= flags
    return "0x" + text.hex()


@functools.lru_cache(maxsize=8)
def make(count, base=0x1234567890ABCDEF << 128):
    """((secret as 32 bytes, public key as 0x + hex), ...)."""
    point, keys = _times(base), []
    for number in range(count):
        keys.append(((base + number).to_bytes(32, "big"), _compressed(point)))
        point = _add(point, G)
    return tuple(keys)
