#!/usr/bin/python3
"""A second reading of Gloas merkleization, and the maker of gloas_cases.inc.

No test vectors for Gloas were to be had, so this file derives roots on its own: straight from the text of
consensus-specs (ssz/simple-serialize.md with EIP-7495 and EIP-7916; specs/gloas), recursive and slow, sharing nothing
with src/eth. It can only show that two readings of the text agree.

    ./gloas_reference.py > gloas_cases.inc
"""
import hashlib
import json
import random

ZERO = bytes(32)


def h(a, b):
    return hashlib.sha256(a + b).digest()


# ---- merkleization, as the text has it ------------------------------------------------------------------------------

def next_pow_of_two(i):
    return 1 if i <= 1 else 2 * next_pow_of_two((i + 1) // 2)


def merkleize(chunks, limit=None):
    size = next_pow_of_two(len(chunks) if limit is None else limit)
    assert len(chunks) <= size
    level = chunks + [ZERO] * (size - len(chunks)) if size <= 4096 else None
    assert level is not None, "this reference pads for real"
    while len(level) > 1:
        level = [h(level[i], level[i + 1]) for i in range(0, len(level), 2)]
    return level[0]


def merkleize_progressive(chunks, num_leaves=1):
    if not chunks:
        return ZERO
    return h(merkleize(chunks[:num_leaves], num_leaves),
             merkleize_progressive(chunks[num_leaves:], num_leaves * 4))


def pack(data):
    data += bytes(-len(data) % 32)
    return [data[i:i + 32] for i in range(0, len(data), 32)]


def pack_bits(bits):
    data = bytearray((len(bits) + 7) // 8)
    for i, bit in enumerate(bits):
        data[i // 8] |= bit << (i % 8)
    return pack(bytes(data))


def mix_in_length(root, length):
    return h(root, length.to_bytes(32, "little"))


def mix_in_active_fields(root, active):
    return h(root, pack_bits(active)[0])


# ---- types: a value is what the JSON holds --------------------------------------------------------------------------

def raw(text):
    return bytes.fromhex(text[2:])


def uint(bits):
    return lambda v: int(v).to_bytes(bits // 8, "little") + bytes(32 - bits // 8)


uint64, uint256 = uint(64), uint(256)


def boolean(v):
    return bytes([v]) + bytes(31)


def byte_vector(v):
    return merkleize(pack(raw(v)))


def byte_list(limit):
    return lambda v: mix_in_length(merkleize(pack(raw(v)), (limit + 31) // 32), len(raw(v)))


def progressive_byte_list(v):
    return mix_in_length(merkleize_progressive(pack(raw(v))), len(raw(v)))


def bits_of(v):
    bits = [b >> i & 1 for b in raw(v) for i in range(8)]
    while not bits[-1]:
        bits.pop()
    return bits[:-1]


def progressive_bitlist(v):
    bits = bits_of(v)
    return mix_in_length(merkleize_progressive(pack_bits(bits)), len(bits))


def progressive_list(element):
    return lambda v: mix_in_length(merkleize_progressive([element(e) for e in v]), len(v))


def container(**fields):
    return lambda v: merkleize([fields[f](v[f]) for f in fields])


def progressive_container(**fields):
    return lambda v: mix_in_active_fields(merkleize_progressive([fields[f](v[f]) for f in fields]),
                                          [1] * len(fields))


checkpoint = container(epoch=uint64, root=byte_vector)
attestation_data = container(slot=uint64, index=uint64, beacon_block_root=byte_vector, source=checkpoint,
                             target=checkpoint)
attestation = progressive_container(aggregation_bits=progressive_bitlist, data=attestation_data,
                                    signature=byte_vector, committee_bits=byte_vector)
aggregate_and_proof = container(aggregator_index=uint64, aggregate=attestation, selection_proof=byte_vector)
payload_attestation_data = container(beacon_block_root=byte_vector, slot=uint64, payload_present=boolean,
                                     blob_data_available=boolean)
proposer_preferences = container(dependent_root=byte_vector, proposal_slot=uint64, validator_index=uint64,
                                 fee_recipient=byte_vector, target_gas_limit=uint64)
request_auth = container(data=byte_list(4096), slot=uint64)
bid = progressive_container(
    parent_block_hash=byte_vector, parent_block_root=byte_vector, block_hash=byte_vector, prev_randao=byte_vector,
    fee_recipient=byte_vector, gas_limit=uint64, builder_index=uint64, slot=uint64, value=uint64,
    execution_payment=uint64, blob_kzg_commitments=progressive_list(byte_vector), execution_requests_root=byte_vector)
withdrawal = container(index=uint64, validator_index=uint64, address=byte_vector, amount=uint64)
deposit_request = container(pubkey=byte_vector, withdrawal_credentials=byte_vector, amount=uint64,
                            signature=byte_vector, index=uint64)
withdrawal_request = container(source_address=byte_vector, validator_pubkey=byte_vector, amount=uint64)
consolidation_request = container(source_address=byte_vector, source_pubkey=byte_vector, target_pubkey=byte_vector)
builder_deposit_request = container(pubkey=byte_vector, withdrawal_credentials=byte_vector, amount=uint64,
                                    signature=byte_vector)
builder_exit_request = container(source_address=byte_vector, pubkey=byte_vector)
payload = progressive_container(
    parent_hash=byte_vector, fee_recipient=byte_vector, state_root=byte_vector, receipts_root=byte_vector,
    logs_bloom=byte_vector, prev_randao=byte_vector, block_number=uint64, gas_limit=uint64, gas_used=uint64,
    timestamp=uint64, extra_data=byte_list(32), base_fee_per_gas=uint256, block_hash=byte_vector,
    transactions=progressive_list(progressive_byte_list), withdrawals=progressive_list(withdrawal),
    blob_gas_used=uint64, excess_blob_gas=uint64, block_access_list=progressive_byte_list, slot_number=uint64)
requests = progressive_container(
    deposits=progressive_list(deposit_request), withdrawals=progressive_list(withdrawal_request),
    consolidations=progressive_list(consolidation_request), builder_deposits=progressive_list(builder_deposit_request),
    builder_exits=progressive_list(builder_exit_request))
envelope = progressive_container(payload=payload, execution_requests=requests, builder_index=uint64,
                                 beacon_block_root=byte_vector, parent_beacon_block_root=byte_vector)

# ---- values ---------------------------------------------------------------------------------------------------------

rng = random.Random(7916)
GLOAS_EPOCH = 353024  # sepolia
SLOT = GLOAS_EPOCH * 32 + 5
GENESIS_ROOT = "0xd8ea171f3c94aea21ebc42a1ed61052acf3f9209c00e4efbaaddac09ed9b8078"
FORK_INFO = {"fork": {"previous_version": "0x90000075", "current_version": "0x90000076", "epoch": str(GLOAS_EPOCH)},
             "genesis_validators_root": GENESIS_ROOT}


def some(n):
    return "0x" + rng.randbytes(n).hex()


def number():
    return str(rng.choice([0, 1, 2**53 + 1, 2**64 - 1, rng.getrandbits(64)]))


def bitlist(n):
    return "0x" + ((rng.getrandbits(n) if n else 0) | 1 << n).to_bytes(n // 8 + 1, "little").hex()


def make_attestation(n):
    return {"aggregation_bits": bitlist(n),
            "data": {"slot": str(SLOT), "index": "0", "beacon_block_root": some(32),
                     "source": {"epoch": number(), "root": some(32)}, "target": {"epoch": number(), "root": some(32)}},
            "signature": some(96), "committee_bits": some(8)}


def make_aggregate(n):
    return {"aggregator_index": number(), "aggregate": make_attestation(n), "selection_proof": some(96)}


def make_bid(n):
    return {"parent_block_hash": some(32), "parent_block_root": some(32), "block_hash": some(32),
            "prev_randao": some(32), "fee_recipient": some(20), "gas_limit": number(), "builder_index": number(),
            "slot": str(SLOT), "value": number(), "execution_payment": number(),
            "blob_kzg_commitments": [some(48) for _ in range(n)], "execution_requests_root": some(32)}


def make_envelope(transactions, access_list, n):
    return {
        "payload": {
            "parent_hash": some(32), "fee_recipient": some(20), "state_root": some(32), "receipts_root": some(32),
            "logs_bloom": some(256), "prev_randao": some(32), "block_number": number(), "gas_limit": number(),
            "gas_used": number(), "timestamp": number(), "extra_data": some(n % 33),
            "base_fee_per_gas": str(rng.choice([0, 2**64, 2**256 - 1, rng.getrandbits(256)])),
            "block_hash": some(32), "transactions": [some(t) for t in transactions],
            "withdrawals": [{"index": number(), "validator_index": number(), "address": some(20), "amount": number()}
                            for _ in range(n)],
            "blob_gas_used": number(), "excess_blob_gas": number(), "block_access_list": some(access_list),
            "slot_number": str(SLOT)},
        "execution_requests": {
            "deposits": [{"pubkey": some(48), "withdrawal_credentials": some(32), "amount": number(),
                          "signature": some(96), "index": number()} for _ in range(n)],
            "withdrawals": [{"source_address": some(20), "validator_pubkey": some(48), "amount": number()}
                            for _ in range(n // 2)],
            "consolidations": [{"source_address": some(20), "source_pubkey": some(48), "target_pubkey": some(48)}
                               for _ in range(n // 3)],
            "builder_deposits": [{"pubkey": some(48), "withdrawal_credentials": some(32), "amount": number(),
                                  "signature": some(96)} for _ in range(n // 4)],
            "builder_exits": [{"source_address": some(20), "pubkey": some(48)} for _ in range(n // 5)]},
        "builder_index": number(), "beacon_block_root": some(32), "parent_beacon_block_root": some(32)}


def domain(kind, version, root):
    return kind + h(raw(version) + bytes(28), root)[:28]


def pieces(body, width=110):
    """Pieces of a C string, none of which ends inside an escape."""
    while body:
        cut = width + 1 if body[:width].endswith("\\") else width
        yield body[:cut]
        body = body[cut:]


def emit(name, type_name, key, value, root, domain_type, wrapped, fork_info=True):
    request = {"type": type_name, key: {"version": "gloas", "data": value} if wrapped else value}
    genesis = domain(domain_type, "0x90000069", ZERO)
    fork = domain(domain_type, "0x90000076", raw(GENESIS_ROOT))
    if fork_info:
        request["fork_info"] = FORK_INFO
    request["signingRoot"] = "0x" + h(root, fork if fork_info else genesis).hex()
    body = json.dumps(request, separators=(",", ":")).replace('"', '\\"')
    lines = "\n".join('  "%s"' % piece for piece in pieces(body))
    print('CASE("%s", "%s",\n%s)' % (name, root.hex(), lines))


def main():
    print("/* Made by gloas_reference.py: CASE(name, object root, request). Do not edit. */")
    print("/* clang-format off */")
    for n in (0, 1, 7, 8, 255, 256, 257, 1279, 1280, 1281, 5376, 5377, 8191):
        value = make_aggregate(n)
        emit("aggregate of %d bits, version named" % n, "AGGREGATE_AND_PROOF_V2", "aggregate_and_proof", value,
             aggregate_and_proof(value), b"\x06\0\0\0", True)
    value = make_aggregate(300)
    emit("aggregate, bare, by the schedule", "AGGREGATE_AND_PROOF", "aggregate_and_proof", value,
         aggregate_and_proof(value), b"\x06\0\0\0", False)
    for n in (0, 1, 2, 5, 6, 21, 22):
        value = make_bid(n)
        emit("bid with %d commitments" % n, "EXECUTION_PAYLOAD_BID", "execution_payload_bid", value, bid(value),
             b"\x0b\0\0\0", n % 2)
    for transactions, access_list, n in (([], 0, 0), ([1], 32, 1), ([31, 32, 33, 0], 33, 5), ([160, 161], 160, 6),
                                         ([3] * 22, 161, 10), ([672, 673], 673, 22)):
        value = make_envelope(transactions, access_list, n)
        emit("envelope with %d transactions" % len(transactions), "EXECUTION_PAYLOAD_ENVELOPE",
             "execution_payload_envelope", value, envelope(value), b"\x0b\0\0\0", n % 2)
    for type_name, key, wrapped in (("PAYLOAD_ATTESTATION_MESSAGE", "payload_attestation_message", True),
                                    ("PAYLOAD_ATTESTATION", "payload_attestation", True),
                                    ("PAYLOAD_ATTESTATION", "payload_attestation_data", False)):
        value = {"beacon_block_root": some(32), "slot": str(SLOT), "payload_present": rng.random() < .5,
                 "blob_data_available": rng.random() < .5}
        emit(type_name + " under " + key, type_name, key, value, payload_attestation_data(value), b"\x0c\0\0\0",
             wrapped)
    for wrapped in (True, False):
        value = {"dependent_root": some(32), "proposal_slot": str(SLOT), "validator_index": number(),
                 "fee_recipient": some(20), "target_gas_limit": number()}
        emit("preferences", "PROPOSER_PREFERENCES", "proposer_preferences", value, proposer_preferences(value),
             b"\x0d\0\0\0", wrapped)
    for n, type_name, key, wrapped in ((0, "BUILDER_REQUEST_AUTH", "builder_request_auth", True),
                                       (33, "BUILDER_REQUEST_AUTH", "builder_request_auth", False),
                                       (4096, "REQUEST_AUTH", "request_auth", False)):
        value = {"data": some(n), "slot": str(SLOT)}
        emit("request auth of %d bytes" % n, type_name, key, value, request_auth(value), b"\x0b\0\0\x01", wrapped,
             fork_info=False)
    print("/* clang-format on */")


if __name__ == "__main__":
    main()
