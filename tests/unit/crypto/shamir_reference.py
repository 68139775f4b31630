#!/usr/bin/python3
"""Prints the rows of shamir_reference.inc: secrets shared out by another implementation, with tables of logarithms to the base 3 (as
SLIP-39 has them), and Lagrange's formula over their sums. Its shares must give the secret back in ours."""
import hashlib

exp, log = [0] * 255, [0] * 256
x = 1
for i in range(255):
    exp[i], log[x] = x, i
    x ^= (x << 1) ^ (0x11B if x & 0x80 else 0)


def interpolate(points, at):
    """The value at `at` of the polynomial through points [(x, y)]."""
    total = 0
    for xi, yi in points:
        if yi == 0:
            continue
        power = log[yi]
        for xj, _ in points:
            if xj != xi:
                power += log[at ^ xj] - log[xi ^ xj]
        total ^= exp[power % 255]
    return total


def stream(*words):
    return hashlib.sha256(" ".join(map(str, words)).encode()).digest()


def main():
    assert exp[log[3] + log[7]] == 9 and exp[log[6] - log[3]] == 2
    for threshold, count in ((2, 2), (2, 3), (3, 5), (5, 6), (7, 10), (16, 16)):
        secret = stream("secret", threshold, count)
        # As SLIP-39 does: the secret at 0 and free values at 1 .. threshold - 1 fix the polynomial.
        free = [stream("share", threshold, count, n) for n in range(1, threshold)]
        shares = []
        for place in range(1, count + 1):
            if place < threshold:
                y = free[place - 1]
            else:
                y = bytes(
                    interpolate([(0, secret[b])] + [(n + 1, free[n][b]) for n in range(threshold - 1)], place)
                    for b in range(32)
                )
            shares.append(y.hex() + f"{place:02x}")
        # The last `threshold` of them, backwards.
        print(f'{{{threshold}, "{secret.hex()}",')
        rows = ",\n".join(f' "{s}"' for s in reversed(shares[-threshold:]))
        print(f" {{{rows.strip()}}}}},")


main()
