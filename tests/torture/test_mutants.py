"""The rows of mutants.py and broken.py still stand in the sources: the short form leaves most of them out, and would not notice."""
import broken
import mutants


def rows():
    """(file below src/, text that must stand there once)."""
    for table, file in ((mutants.RULES, "slash/rules.c"), (mutants.MERGE, "slash/merge.c")):
        yield from ((file, text) for text, _ in table)
    for table in (mutants.STORE, mutants.OPEN, mutants.GUARD, mutants.MIRROR, mutants.JUDGE):
        yield from ((f"slash/{file}", text) for file, text, _ in table)
    for table in (mutants.DYNAMODB, mutants.ACCESS, mutants.KEYS):
        yield from (row[-3:-1] for row in table)
    for row in [*mutants.SQL, *mutants.AROUND]:
        if len(row) == 4:
            yield row[1] if "/" in row[1] else f"slash/{row[1]}", row[2]


def test_each_mutant_has_its_place():
    found = [(file, text) for file, text in rows()]
    assert len(found) > 300
    for file, text in found:
        mutants.mutate(mutants.ROOT / "src" / file, text, "")


def test_each_statement_of_a_mutant_has_its_place():
    edits = [edit for row in mutants.SQL if len(row) == 2 for edit in row[1]]
    assert len(edits) > 40
    for statement, old, _ in edits:
        mutants.statement_with(mutants.STATEMENTS.read_text(), statement, old, "")


def test_each_broken_signer_has_its_place():
    assert not [broken.stale(row) for row in broken.BROKEN if broken.stale(row)]
