"""What an enclave's parent tries at a start: old stores, and another clock. Slots of one second, so that duties begin again while the test waits."""
import json
import shutil
import time

import pytest
import interop
import messages
from attested import Attested
from daemon import wait_for
from forms import FULL
from key_routes import call as ask

EXIT_DONE = 0
SLOT_S, AGO_EPOCHS = 1, 1000


def in_enclave(make_daemon):
    begin = int(time.time()) - AGO_EPOCHS * messages.SLOTS_PER_EPOCH * SLOT_S
    enclave = Attested(make_daemon, config={"genesis_time": begin, "network_overrides": {"SECONDS_PER_SLOT": SLOT_S, "SLOT_DURATION_MS": 1000 * SLOT_S},
                                            "anti_slashing": {"backend": "sqlite", "new_key_policy": "allow"}})
    enclave.daemon.unix = f"{enclave.folder.name}/signer"
    enclave.daemon.config["server"]["unix_socket"] = enclave.daemon.unix
    enclave.daemon.write_config()
    enclave.epoch = lambda: int(time.time() - begin) // (messages.SLOTS_PER_EPOCH * SLOT_S)
    return enclave


def sign(enclave, body):
    """(status, answer), over the Unix socket."""
    return ask(enclave.daemon, "POST", f"/api/v1/eth2/sign/{interop.PUBKEYS[0]}", body, headers={"Accept": "application/json"})


def first_duty(enclave):
    """The epoch of the first vote that is let through; each epoch has one try."""
    tries = []

    def tried():
        epoch = enclave.epoch() + 2  # as far ahead as may be
        if epoch in tries:
            return False
        tries.append(epoch)
        return sign(enclave, messages.attestation(epoch - 1, epoch))[0] == 200 and epoch

    return wait_for("duties have begun", tried, 90)


def test_P26_an_old_copy_of_every_store_gets_no_conflicting_signature(make_daemon):
    with in_enclave(make_daemon) as enclave:
        daemon = enclave.daemon
        daemon.init()
        empty = daemon.path / "empty"
        shutil.copytree(daemon.data_dir, empty)  # chamber, state and history, from before the first signature
        daemon.start()
        assert "an earlier enclave may have signed up to now" in daemon.log_text()
        signed = first_duty(enclave)
        slot = (signed + 1) * messages.SLOTS_PER_EPOCH - 1
        assert sign(enclave, messages.block(slot))[0] == 200
        assert sign(enclave, messages.attestation(signed - 1, signed))[0] == 200  # the same again
        assert daemon.stop() == EXIT_DONE
        shutil.rmtree(daemon.data_dir)
        shutil.copytree(empty, daemon.data_dir)
        daemon.data_dir.chmod(0o700)
        daemon.start()
        for body in (messages.attestation(signed - 1, signed, seed=1), messages.attestation(signed - 2, signed + 1),
                     messages.attestation(signed - 3, signed), messages.block(slot, seed=1), messages.attestation(signed - 1, signed)):
            code, answer = sign(enclave, body)
            assert code == 412, answer
        if FULL:
            assert first_duty(enclave) > signed
        assert daemon.stop() == EXIT_DONE


def test_T33_no_start_with_another_clock_than_the_modules(make_daemon):
    with in_enclave(make_daemon) as enclave:
        daemon = enclave.daemon
        daemon.init()
        for shift_s in 60, -60:
            enclave.device.clock_timestamp_ms = int((time.time() + shift_s) * 1000)
            refused = daemon.command("server", "-c", daemon.config_path, check=False)
            assert refused.returncode != EXIT_DONE and "ENCLAVE_CLOCK" in refused.stdout + refused.stderr
        enclave.device.clock_timestamp_ms = None
        daemon.start()
        assert daemon.stop() == EXIT_DONE


@pytest.mark.skipif(not FULL, reason="the module's time is looked at once a minute: two minutes")
def test_T33_a_clock_that_is_turned_while_it_serves_signs_nothing(make_daemon):
    with in_enclave(make_daemon) as enclave:
        daemon = enclave.daemon
        daemon.init()
        daemon.start()
        signed = first_duty(enclave)
        again = messages.attestation(signed - 1, signed)
        assert sign(enclave, again)[0] == 200
        enclave.device.clock_timestamp_ms = int((time.time() + 3600) * 1000)
        wait_for("the other clock is noticed", lambda: daemon.status_of("/readyz") == 503, 90)
        code, answer = sign(enclave, again)
        assert code == 503 and "clock" in json.dumps(answer), answer
        assert daemon.status_of("/upcheck") == 200
        enclave.device.clock_timestamp_ms = None
        wait_for("it agrees again", lambda: daemon.status_of("/readyz") == 200, 90)
        assert sign(enclave, again)[0] == 200  # the same: duties go on as they were
        assert daemon.stop() == EXIT_DONE
