#!/usr/bin/env python3
"""Has spin look at every run of the sealed chamber's model (chamber.pml over src/seal/machine.def), from each mode to another, and shows that
it can fail: each mutant of table or model must be refuted, and what the model is about must be reached at all.

check.py [--only WORD]; 77 where spin or a C compiler is missing. Without CC_FULL none of the LARGE ways is gone through, and every sixth
mutant.
"""
import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TABLE = os.path.join(ROOT, "src/seal/machine.def")
TOOL = os.path.join(ROOT, "tools/seal-machine")

# From mode, to mode. Each is gone through whole.
HOLDS = [("QUORUM", "QUORUM"), ("KMS", "QUORUM"), ("QUORUM", "KMS"), ("OPERATORS", "OPERATORS"), ("LOCAL", "KMS"), ("LOCAL", "QUORUM"),
         ("NO_SET", "KMS"), ("NO_SET", "QUORUM")]
# The same with an image that the operators approve (auto-unseal).
HOLDS_WITH_IMAGES = [("OPERATORS", "OPERATORS")]

# Those of millions of states: there alone is optimizing shorter than searching.
LARGE = (("QUORUM", "QUORUM"), ("QUORUM", "KMS"), ("OPERATORS", "OPERATORS"))

# What must be reachable, or the properties would hold of nothing: asserted to be false in `the_end` or at once.
REACHED = [
    ("the new set comes into force", "QUORUM", "QUORUM", "current != NEW"),
    ("one row is rewritten and the other not, after a crash", "QUORUM", "QUORUM", "!(crashes == 0 && row[0] == NEW && row[1] == OLD && st[0] == S_SEALED)"),
    ("a rotation is cancelled when all have registered", "QUORUM", "QUORUM", "!(cancelled[NEW] && registered == 0 && phase == P_NONE)"),
    ("a seal in the midst of rewriting, undone by the new quorum", "KMS", "QUORUM", "!(sealed_once && !latch && current == NEW && SIGNS(st[0]))"),
    ("a first set is made", "NO_SET", "QUORUM", "!(current == NEW && SIGNS(st[0]) && SIGNS(st[1]))"),
]

# Mutants of the table: (what, from, to, regular expression, its replacement, the property that must fall).
MUTANTS = [
    ("the quorum isn't asked to unseal", "QUORUM", "QUORUM", r"(T\(KMS_UNSEALED, +QUORUM_OPENED, +QUORUM, +UNSEALED, +)QUORUM\)", r"\1NOTHING)", "lawful"),
    ("KMS alone opens mode quorum", "QUORUM", "QUORUM", r"(T\(SEALED, +KMS_OPENED, +QUORUM, +)KMS_UNSEALED(, +KMS\))", r"\1UNSEALED\2", "lawful"),
    ("a state signs that must not", "QUORUM", "QUORUM", r'(STATE\(KMS_UNSEALED, +"kms_unsealed", +)0', r"\g<1>1", "lawful"),
    ("a restart keeps a chamber open", "QUORUM", "QUORUM", r"(T\(UNSEALED, +RESTARTED, +ANY, +)SEALED", r"\1UNSEALED", "lawful"),
    ("a set is staged that nobody has approved", "QUORUM", "QUORUM", r"(N\(PROPOSED, +STAGED, +STAGED, +)APPROVAL", r"\1NOTHING", "approved|cancelled"),
    ("whoever proposes makes the first set", "NO_SET", "QUORUM", r"(N\(NONE, +INIT, +STAGED, +)SETUP_TOKEN", r"\1PROPOSER", "current==1|approved"),
    ("no seal while rotating", "QUORUM", "QUORUM", r"T\(AWAITING_ROTATION, +SEAL, .*\n", "", "asker|st\\["),
    ("no seal before the first set", "NO_SET", "QUORUM", r"T\(UNINITIALIZED, +SEAL, .*\n", "", "asker|st\\["),
    ("a cancel while rows are rewritten", "QUORUM", "QUORUM", r"(N\(READY, +CANCELLED, +NONE, +CANCEL\))", r"\1\nN(REWRITING,   CANCELLED,      NONE,        CANCEL)", "row"),
    ("anybody cancels", "QUORUM", "QUORUM", r"(N\(STAGED, +CANCELLED, +NONE, +)CANCEL\)", r"\1NOTHING)", "violated 0"),
    ("no cancel of a set whose operators don't come", "QUORUM", "QUORUM", r"N\(STAGED, +CANCELLED, .*\n", "", "violated 0"),
    ("rows begin before all have registered", "QUORUM", "QUORUM", r"(N\(STAGED, +REGISTERED_ALL, +READY, +)ALL_REGISTERED", r"\1NOTHING", "committed_whole"),
    ("the old set goes before its rows", "QUORUM", "QUORUM", r"(N\(REWRITING, +COMMITTED, +NONE, +)REWRITTEN", r"\1NOTHING", "row|committed_whole"),
    ("a replica is left behind", "QUORUM", "QUORUM", r"(N\(READY, +REWRITE, +REWRITING, +)ALL_REPLICAS", r"\1NOTHING", "left_behind"),
    ("the latch goes by itself", "KMS", "KMS", r"(T\(SEALED, +KMS_OPENED, +KMS, +UNSEALED, +)KMS_NO_LATCH", r"\1KMS", "lawful|latch"),
    ("there is no end of rewriting", "QUORUM", "QUORUM", r"N\(REWRITING, +COMMITTED, .*\n", "", "phase"),
]
# The same with an image.
IMAGE_MUTANTS = [
    ("an image opens whatever it likes", "OPERATORS", "OPERATORS", r"(T\(SEALED, +IMAGE_OPENED, +OPERATORS, +UNSEALED, +)IMAGE\)", r"\1NOTHING)", "lawful"),
]
# Mutants of the model: how it is written to the store.
MODEL_MUTANTS = [
    ("a write that does not compare", "QUORUM", "QUORUM", {"BLIND": "true"}, "cancelled"),
]


def run(command, folder, **keywords):
    return subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **keywords)


def search(table, defines, reach, falls):
    """The first property that does not hold ("" when all do), and how many states there were."""
    with tempfile.TemporaryDirectory(prefix="cc-spin-") as folder:
        open(os.path.join(folder, "machine.def"), "w", encoding="utf-8").write(table)
        with open(os.path.join(folder, "table.pml"), "w", encoding="utf-8") as out:
            subprocess.run([sys.executable, TOOL, "--promela", "--table", os.path.join(folder, "machine.def")], stdout=out, check=True)
        model = open(os.path.join(HERE, "chamber.pml"), encoding="utf-8").read()
        if reach:
            model += f"\nactive proctype reach()\n{{\nend:\n    atomic {{ !({reach}) -> assert(!REACHED) }}\n}}\n#define REACHED true\n"
            model = model.replace("assert(!REACHED)", "assert(false && 77)")
        open(os.path.join(folder, "chamber.pml"), "w", encoding="utf-8").write(model)
        made = run(["spin", "-a"] + [f"-D{name}={value}" for name, value in defines.items()] + ["chamber.pml"], folder)
        if not os.path.exists(os.path.join(folder, "pan.c")):
            sys.exit(f"spin: {made.stdout}")
        large = not falls and any(defines.items() >= modes(*pair).items() for pair in LARGE)
        compiler = [os.environ.get("CC", "gcc"), "-O1" if large else "-O0", "-w", "-DSAFETY", "-DCOLLAPSE", "-DVECTORSZ=1024", "-o", "pan", "pan.c"]
        if run(compiler, folder).returncode:
            sys.exit("the model's program does not compile")
        said = run(["./pan", "-m100000", f"-w{24 if large else 18}"], folder, timeout=900).stdout
        # Incomplete is not found right.
        errors = re.search(r"errors: (\d+)", said)
        states = re.search(r"(\d+) states, stored", said)
        if not errors or not states or "max search depth too small" in said or "out of memory" in said:
            sys.exit(f"the search did not end: {said}")
        found = re.search(r"pan:\d+: (.*) \(at depth", said)
        return (found.group(1) if found else "an error") if errors.group(1) != "0" else "", int(states.group(1))


def modes(old, new):
    return {"MODE_OLD": f"M_{old}", "MODE_NEW": f"M_{new}"}


def changed(table, pattern, replacement):
    text, count = re.subn(pattern, replacement, table)
    if count != 1:
        sys.exit(f"a mutant changes {count} rows: {pattern}")
    return text


def jobs(table):
    for old, new in HOLDS:
        yield (f"holds: {old.lower()} to {new.lower()}", table, modes(old, new), None, "")
    for old, new in HOLDS_WITH_IMAGES:
        yield (f"holds with an image: {old.lower()} to {new.lower()}", table, dict(modes(old, new), IMAGES="true"), None, "")
    yield ("is reached: an image opens what people have left", table, dict(modes("OPERATORS", "OPERATORS"), IMAGES="true"),
           "!(crashes == 0 && SIGNS(st[0]) && shares[0] == 0 && image == current && lawful[0] && current == NEW)", "77")
    for what, old, new, pattern, replacement, falls in IMAGE_MUTANTS:
        yield (f"mutant: {what}", changed(table, pattern, replacement), dict(modes(old, new), IMAGES="true"), None, falls)
    for what, old, new, reach in REACHED:
        yield (f"is reached: {what}", table, modes(old, new), reach, "77")
    for what, old, new, pattern, replacement, falls in MUTANTS:
        yield (f"mutant: {what}", changed(table, pattern, replacement), modes(old, new), None, falls)
    for what, old, new, defines, falls in MODEL_MUTANTS:
        yield (f"mutant: {what}", table, dict(modes(old, new), **defines), None, falls)


def of_this_form(work):
    """The short form of the jobs, or all of them."""
    left_out = {f"{start}: {old.lower()} to {new.lower()}" for old, new in LARGE for start in ("holds", "holds with an image")}
    mutants = [job for job in work if job[0].startswith("mutant")]
    return [job for job in work if os.environ.get("CC_FULL") or (job not in mutants or job in mutants[::6]) and job[0] not in left_out]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    only = parser.parse_args().only
    if not shutil.which("spin") or not shutil.which(os.environ.get("CC", "gcc")):
        print("spin or a C compiler is missing: tools/install-deps test")
        return 77
    bad = 0
    work = of_this_form([job for job in jobs(open(TABLE, encoding="utf-8").read()) if only in job[0]])
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for (what, _, _, _, falls), (found, states) in zip(work, pool.map(lambda job: search(*job[1:]), work)):
            good = (not found) if falls == "" else bool(found and re.search(falls, found))
            bad += not good
            print(f"{'ok' if good else 'NOT OK'}: {what}: {states} states{', ' + found[:150] if found else ''}", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
