"""Slashing protection as a client sees it: refused with 412 and the rule, repeats signed, across restarts."""
import contextlib
import json
import resource
import threading

import interop
import messages

KEY = interop.PUBKEYS[0]


def answer(daemon, body, key=KEY):
    """(status, parsed body) of one signing request."""
    status, _, content = daemon.sign(key, body, {"Accept": "application/json"})
    return status, json.loads(content)


def started(make_daemon, **options):
    """A daemon with four keys, ready."""
    daemon = make_daemon(keys=interop.SECRETS[:4], **options)
    daemon.init()
    daemon.start()
    return daemon


def refused(daemon, body):
    """The rule that refuses `body` with 412."""
    status, content = answer(daemon, body)
    assert status == 412, (status, content)
    assert "signature" not in content
    assert content["code"] == 412 and content["message"]
    return content["rule"]


def test_double_and_surround_votes_are_refused_with_their_rule(make_daemon):
    daemon = started(make_daemon)
    assert answer(daemon, messages.attestation(10, 12))[0] == 200
    assert answer(daemon, messages.attestation(3, 11), key=interop.PUBKEYS[1])[0] == 200
    assert answer(daemon, messages.attestation(5, 9, "a"), key=interop.PUBKEYS[1])[0] == 412
    rules = {
        refused(daemon, messages.attestation(10, 12, "other")),
        refused(daemon, messages.attestation(9, 13)),
        refused(daemon, messages.attestation(13, 12)),
    }
    assert len(rules) == 3, rules
    assert answer(daemon, messages.attestation(12, 13))[0] == 200


def test_double_proposals_are_refused(make_daemon):
    daemon = started(make_daemon)
    assert answer(daemon, messages.block(100))[0] == 200
    refused(daemon, messages.block(100, "other"))
    refused(daemon, messages.block(99))
    assert answer(daemon, messages.block(101))[0] == 200


def test_P18_the_same_root_is_signed_again_also_after_restart(make_daemon):
    daemon = started(make_daemon)
    first = answer(daemon, messages.attestation(1, 2))
    assert first[0] == 200
    for _ in range(3):
        assert answer(daemon, messages.attestation(1, 2)) == first
    assert daemon.stop() == 0
    daemon.start()
    assert answer(daemon, messages.attestation(1, 2)) == first
    refused(daemon, messages.attestation(1, 2, "other"))
    daemon.kill_all()
    daemon.start()
    assert answer(daemon, messages.attestation(1, 2)) == first
    refused(daemon, messages.attestation(1, 2, "other"))


def test_P04_of_many_conflicting_requests_one_is_signed(make_daemon):
    daemon = started(make_daemon)
    for epoch in range(5, 25):
        statuses = []

        def ask(number, epoch=epoch, statuses=statuses):
            statuses.append(answer(daemon, messages.attestation(epoch - 1, epoch, number))[0])

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [200] + [412] * 15, (epoch, statuses)


def test_P14_epochs_at_the_edges_of_their_type_never_weaken_later_checks(make_daemon):
    daemon = started(make_daemon)
    edges = [0, 1, 2**31 - 1, 2**31, 2**32, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 2]
    for low, high in zip(edges, edges[1:]):
        status, content = answer(daemon, messages.attestation(low, high, slot=high))
        assert status == 200, (low, high, content)
        assert answer(daemon, messages.attestation(low, high, "other", slot=high))[0] == 412, (low, high)
    for slot in edges[1:]:
        assert answer(daemon, messages.block(slot))[0] == 200, slot
        assert answer(daemon, messages.block(slot, "other"))[0] == 412, slot
    assert answer(daemon, messages.block(1))[0] == 200, "the same root again"
    assert answer(daemon, messages.block(1, "late"))[0] == 412
    status, _ = answer(daemon, messages.attestation(1, 2**64))
    assert status == 400


def test_another_network_is_refused_before_the_history_is_touched(make_daemon):
    daemon = started(make_daemon)
    status, content = answer(daemon, messages.attestation(1, 2, genesis_root=messages.root("elsewhere")))
    assert status == 403, content
    assert answer(daemon, messages.attestation(1, 2, "now ours"))[0] == 200


def test_unknown_keys_leave_no_record(make_daemon):
    daemon = started(make_daemon)
    assert answer(daemon, messages.attestation(1, 2), key=interop.PUBKEYS[15])[0] == 404


def test_interchange_exported_and_imported_refuses_the_same(make_daemon):
    daemon = started(make_daemon)
    assert answer(daemon, messages.attestation(4, 7))[0] == 200
    assert answer(daemon, messages.block(60))[0] == 200
    assert daemon.stop() == 0
    exported = daemon.path / "interchange.json"
    daemon.command("slashing", "export", "-c", daemon.config_path, "--to", exported)
    interchange = json.loads(exported.read_text())
    assert interchange["metadata"]["interchange_format_version"] == "5"
    assert any(row["signed_attestations"] for row in interchange["data"])

    other = make_daemon(keys=interop.SECRETS[:4])
    other.init()
    other.command("slashing", "import", "-c", other.config_path, "--from", exported)
    other.start()
    refused(other, messages.attestation(4, 7, "other"))
    refused(other, messages.block(60, "other"))
    refused(other, messages.attestation(5, 6))
    assert answer(other, messages.attestation(4, 8))[0] == 200


def test_P03_keys_without_their_history_are_refused_at_start(make_daemon):
    daemon = started(make_daemon)
    assert answer(daemon, messages.attestation(1, 2))[0] == 200
    assert daemon.stop() == 0
    for path in daemon.data_dir.glob("history.sqlite*"):
        path.unlink()
    daemon.spawn()
    assert daemon.process.wait(30) != 0
    assert not list(daemon.data_dir.glob("history.sqlite")), "a history was made by `server`"


def test_P03_a_history_of_another_chamber_is_refused(make_daemon):
    one, two = started(make_daemon), started(make_daemon)
    for daemon in (one, two):
        assert daemon.stop() == 0
    for path in two.data_dir.glob("history.sqlite*"):
        (one.data_dir / path.name).write_bytes(path.read_bytes())
    one.spawn()
    assert one.process.wait(30) != 0
    assert "identity" in one.log_text().lower()


def test_init_refuses_to_make_a_second_history(make_daemon):
    daemon = make_daemon(keys=interop.SECRETS[:1])
    daemon.init()
    before = (daemon.data_dir / "history.sqlite").read_bytes()
    assert daemon.init(check=False).returncode != 0
    assert (daemon.data_dir / "history.sqlite").read_bytes() == before


def test_two_signers_on_one_history_second_is_refused(make_daemon):
    daemon = started(make_daemon)
    result = daemon.command("server", "-c", daemon.config_path, check=False, timeout=30)
    assert result.returncode != 0
    assert answer(daemon, messages.attestation(1, 2))[0] == 200


def test_P02_history_files_taken_away_while_in_use(make_daemon):
    daemon = started(make_daemon)
    history, log = (daemon.data_dir / name for name in ("history.sqlite", "history.sqlite-wal"))
    assert answer(daemon, messages.attestation(0, 1))[0] == 200
    history.rename(daemon.data_dir / "moved")
    assert answer(daemon, messages.attestation(1, 2))[0] == 503
    (daemon.data_dir / "moved").rename(history)
    assert answer(daemon, messages.attestation(2, 3))[0] == 200
    log.unlink()
    assert answer(daemon, messages.attestation(3, 4))[0] == 200
    daemon.kill_all()
    daemon.start()
    refused(daemon, messages.attestation(2, 3, "other"))
    refused(daemon, messages.attestation(3, 4, "other"))


@contextlib.contextmanager
def limit_on_file_sizes(size):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_C07_a_limit_on_file_sizes_ends_no_room(make_daemon):
    daemon = make_daemon(keys=interop.SECRETS[:4], config={"logging": {"level": "warn"}})
    daemon.init()
    with limit_on_file_sizes(100000):  # what the rooms share has room, a longer history has not
        daemon.start()
        rooms = daemon.rooms()
        statuses = []
        while 503 not in statuses and len(statuses) < 2000:
            statuses.append(answer(daemon, messages.attestation(len(statuses), len(statuses) + 1))[0])
    assert set(statuses) == {200, 503}
    assert daemon.rooms() == rooms


def test_C07_a_limit_on_file_sizes_that_lets_nothing_start_is_an_error_not_a_signal(make_daemon):
    daemon = make_daemon(keys=interop.SECRETS[:1], config={"logging": {"level": "warn"}})
    daemon.init()
    with limit_on_file_sizes(20000):
        daemon.spawn()
        assert daemon.process.wait(30) > 0
    assert "metrics memory" in daemon.log_text()
