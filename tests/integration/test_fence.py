"""Two chambers with different histories on the same keys, or on a copy of them: the second signs nothing."""
import shutil

import interop
import messages
from daemon import wait_for

EXIT_DONE, EXIT_REFUSED = 0, 3
FENCE = "containment.fence"


def with_keys_of(make_daemon, first, directory):
    """Another chamber, whose keys are in `directory`."""
    daemon = make_daemon()
    daemon.config["key_sources"]["filesystem"]["paths"] = [str(directory)]
    daemon.write_config()
    return daemon


def init(daemon, *arguments):
    return daemon.command("init", *arguments, "-c", daemon.config_path, check=False)


def test_P06_a_second_chamber_on_the_same_keys_signs_nothing(make_daemon):
    first = make_daemon(keys=interop.SECRETS[:2])
    first.init()
    fence = (first.keys_dir / FENCE).read_text()
    assert fence.startswith("containment-chamber-fence-v1\nhistory 0x")
    first.start()
    key = interop.PUBKEYS[0]
    assert first.sign(key, messages.attestation(1, 2))[0] == 200
    assert first.stop() == 0

    copied = first.path / "copied"
    shutil.copytree(first.keys_dir, copied)
    for directory in (first.keys_dir, copied):
        second = with_keys_of(make_daemon, first, directory)
        result = init(second)
        assert result.returncode == EXIT_REFUSED, result
        assert "names another history" in result.stderr and str(directory) in result.stderr, result.stderr
        assert not second.data_dir.exists() or not list(second.data_dir.iterdir())
        # A chamber that was made elsewhere, and is shown the keys afterwards.
        second.config["key_sources"]["filesystem"]["paths"] = []
        second.write_config()
        second.init()
        second.config["key_sources"]["filesystem"]["paths"] = [str(directory)]
        second.write_config()
        second.start(ready=False)
        wait_for("the load", lambda: "keys are loaded" in second.log_text())
        for body in (messages.attestation(1, 2), messages.block(9), messages.randao(3)):
            assert second.sign(key, body)[0] in (404, 503), body
        log = second.log_text()
        assert "a key directory is fenced off" in log and "KEY_FENCED" in log
        assert str(directory) in log
        assert "containment_key_load_failures_total 3" in second.metrics()  # the directory, and each of its two files
        second.stop()
    assert (first.keys_dir / FENCE).read_text() == fence


def test_P06_the_fence_is_replaced_only_by_name(make_daemon):
    first = make_daemon(keys=interop.SECRETS[:1])
    first.init()
    second = with_keys_of(make_daemon, first, first.keys_dir)
    assert init(second).returncode == EXIT_REFUSED
    assert init(second, "--replace-fence").returncode == EXIT_DONE
    second.start()
    assert second.sign(interop.PUBKEYS[0], messages.attestation(1, 2))[0] == 200
    assert second.stop() == 0
    first.start(ready=False)
    assert first.sign(interop.PUBKEYS[0], messages.attestation(1, 2))[0] in (404, 503)
    first.stop()


def test_a_directory_that_cannot_be_fenced_is_said(make_daemon):
    daemon = make_daemon(keys=interop.SECRETS[:1])
    daemon.config["key_sources"]["filesystem"]["paths"] = [str(daemon.keys_dir), "/proc/self"]
    daemon.write_config()
    result = init(daemon)
    assert result.returncode == EXIT_DONE, result.stderr
    assert "No fence in /proc/self" in result.stderr
    assert (daemon.keys_dir / FENCE).exists()
