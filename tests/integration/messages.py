"""Signing requests as validator clients send them, for the built-in network "minimal"."""
import hashlib

MINIMAL_GENESIS_ROOT = "0x04700007fabc8282644aed6d1c7c9e21d38a03a0c4ba193f3afe428824b3a673"
SLOTS_PER_EPOCH = 8


def root(seed):
    """32 bytes that depend on `seed`, as hex."""
    return "0x" + hashlib.sha256(str(seed).encode()).hexdigest()


def fork_info(genesis_root=MINIMAL_GENESIS_ROOT):
    """Phase 0 of minimal."""
    version = "0x00000001"
    return {
        "fork": {"previous_version": version, "current_version": version, "epoch": "0"},
        "genesis_validators_root": genesis_root,
    }


def attestation(source, target, seed=0, *, slot=None, genesis_root=MINIMAL_GENESIS_ROOT):
    """An ATTESTATION; another `seed` is another block root."""
    return {
        "type": "ATTESTATION",
        "fork_info": fork_info(genesis_root),
        "attestation": {
            "slot": str(slot if slot is not None else target * SLOTS_PER_EPOCH),
            "index": "0",
            "beacon_block_root": root(f"head {seed}"),
            "source": {"epoch": str(source), "root": root("source")},
            "target": {"epoch": str(target), "root": root("target")},
        },
    }


def block(slot, seed=0):
    """A BLOCK_V2 with a header."""
    return {
        "type": "BLOCK_V2",
        "fork_info": fork_info(),
        "beacon_block": {
            "version": "CAPELLA",
            "block_header": {
                "slot": str(slot),
                "proposer_index": "1",
                "parent_root": root("parent"),
                "state_root": root("state"),
                "body_root": root(f"body {seed}"),
            },
        },
    }


def randao(epoch):
    """A RANDAO_REVEAL: nothing to be slashed for."""
    return {"type": "RANDAO_REVEAL", "fork_info": fork_info(), "randao_reveal": {"epoch": str(epoch)}}


def voluntary_exit(epoch):
    """A VOLUNTARY_EXIT: irreversible, so never routine."""
    return {"type": "VOLUNTARY_EXIT", "fork_info": fork_info(), "voluntary_exit": {"epoch": str(epoch), "validator_index": "1"}}


def selection(slot):
    """An AGGREGATION_SLOT."""
    return {"type": "AGGREGATION_SLOT", "fork_info": fork_info(), "aggregation_slot": {"slot": str(slot)}}


# --- signing roots, written down a second time: the tests' own model ----------------------------------------


def _hash(left, right):
    return hashlib.sha256(left + right).digest()


def _merkle(chunks):
    """Root of a full tree over `chunks`, padded with zeros to a power of two; of one it is that chunk."""
    width = 1
    while width < len(chunks):
        width *= 2
    level = list(chunks) + [bytes(32)] * (width - len(chunks))
    while len(level) > 1:
        level = [_hash(level[i], level[i + 1]) for i in range(0, len(level), 2)]
    return level[0]


def _number(text):
    return int(text).to_bytes(8, "little") + bytes(24)


def _bytes(text):
    return bytes.fromhex(text[2:])


def _checkpoint(point):
    return _merkle([_number(point["epoch"]), _bytes(point["root"])])


def signing_root(request):
    """The signing root of a request made by attestation(), block() or selection(), as hex."""
    if request["type"] == "AGGREGATION_SLOT":
        fields = [_number(request["aggregation_slot"]["slot"])]
        domain_type = bytes.fromhex("05000000")
    elif request["type"] == "ATTESTATION":
        data = request["attestation"]
        fields = [_number(data["slot"]), _number(data["index"]), _bytes(data["beacon_block_root"])]
        fields += [_checkpoint(data["source"]), _checkpoint(data["target"])]
        domain_type = bytes.fromhex("01000000")
    else:
        data = request["beacon_block"]["block_header"]
        fields = [_number(data["slot"]), _number(data["proposer_index"])]
        fields += [_bytes(data[name]) for name in ("parent_root", "state_root", "body_root")]
        domain_type = bytes(4)
    info = request["fork_info"]
    version = _bytes(info["fork"]["current_version"]) + bytes(28)
    fork_data_root = _hash(version, _bytes(info["genesis_validators_root"]))
    return "0x" + _hash(_merkle(fields), domain_type + fork_data_root[:28]).hex()
