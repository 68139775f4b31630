"""A chamber outlives its enclave: its data directory is memory, and what it was is taken over from the tables by an approved image.

The security module is software with an authority of its own, KMS a mock that holds to its keys' policies, the tables are PostgreSQL or DynamoDB."""
import re
import shutil

import pytest
from daemon import binary_with_switches, wait_for
from key_routes import CHAMBER as KEYS_ROUTE
from key_routes import import_keys
from seal_client import Operator, init, state, status
from test_ceremony import NAMES, unseal
from test_ceremony_kms import make_quorum
from test_enclave_kms import IMAGE, OTHER, Enclave, kms_module, nsm_device, signs
from test_key_stores import Database, Table, aws_module, make, postgres
from test_latch import seal

EXIT_REFUSED = 3


@pytest.fixture(name="server", scope="module")
def the_server():
    if postgres.bin_dir() is None:
        pytest.skip("left out: PostgreSQL is not installed")
    with postgres.Postgres() as server:
        yield server


@pytest.fixture(name="enclave")
def _enclave(tmp_path):
    with kms_module.Kms() as kms, nsm_device.NsmDevice(str(tmp_path / "nsm")) as device:
        enclave = Enclave(tmp_path, kms, device)
        enclave.create()
        yield enclave


def an_enclave(make_daemon, enclave, place, seal="ceremony", **root):
    """Its tables are in `place`; not started."""
    def with_switches(**options):
        return make_daemon(binary=binary_with_switches(), **options)  # a release takes no socket for a device

    place.environment = {**enclave.mock.environment(), **place.environment}
    config = {
        "signer_state": {"seal": seal, "kms": True, "allowed_kms_key_arns": enclave.arns},
        "tls": {"mode": "atls", "listen_port": 0},
        "aws": {"kms_endpoint_url": enclave.server.endpoint},
        "tee": {"platform": "nitro", "device": enclave.device.path,
                "root": {"kms_key_arns": enclave.arns, "threshold": 2, **root}},
    }
    daemon = make(with_switches, place, config=config)
    daemon.config["tee"]["root"]["certificate"] = str(daemon.path / "root.der")
    daemon.write_config()
    shutil.copyfile(enclave.device.root_path, daemon.path / "root.der")  # where the core's user reaches it
    return daemon


@pytest.fixture(name="daemon")
def a_daemon(make_daemon, enclave, server):
    return an_enclave(make_daemon, enclave, Database(server))


def boot(daemon, expected=None):
    """What a machine of nothing but an image does."""
    daemon.start("--init-if-missing", ready=False)
    wait_for("the status", lambda: state(daemon))
    if expected:
        wait_for(expected, lambda: state(daemon) == expected)
    assert not (daemon.data_dir / "chamber.key").exists()


def end(daemon):
    """The enclave is gone, and all that it had."""
    assert daemon.stop() == 0
    shutil.rmtree(daemon.data_dir)


def identity(daemon):
    return (daemon.data_dir / "identity.pub").read_text()


def tighten(daemon, enclave, *images):
    """What an administrator does once the chamber's id is known; returns it."""
    chamber = re.search(r"^chamber 0x([0-9a-f]{64})$", identity(daemon), flags=re.M).group(1)
    enclave.allow(*images, chamber=chamber)
    return chamber


def refused(daemon, *said):
    """A start that is refused leaves nothing behind, and says why."""
    result = daemon.command("server", "--init-if-missing", "-c", daemon.config_path, check=False)
    text = result.stdout + result.stderr
    assert result.returncode not in (0, None) and all(word in text for word in said), text[-3000:]
    assert not daemon.data_dir.exists() or not list(daemon.data_dir.iterdir()), list(daemon.data_dir.iterdir())
    return result.returncode


def test_T11_in_mode_kms_a_chamber_outlives_its_enclave_by_itself(daemon, enclave):
    boot(daemon, "uninitialized")
    tighten(daemon, enclave, IMAGE)  # before there is a set, which is then made under that policy
    assert init(daemon, mode="kms", kms_key_arns=enclave.arns, kms_threshold=2)[0] == 200
    assert import_keys(daemon, 1, path=KEYS_ROUTE) == ["imported"]
    signs(daemon, 1, 1, 2)
    first = identity(daemon)
    end(daemon)
    enclave.mock.disable(enclave.arns[1])  # two of three are enough
    boot(daemon, "unsealed")
    assert identity(daemon) == first
    signs(daemon, 1, 2, 3)
    daemon.kill_room("vault")  # and with it the key that KMS keeps
    wait_for("the vault's end", lambda: state(daemon) == "unsealed")
    signs(daemon, 1, 3, 4)
    decrypts = int(enclave.server.tell("count Decrypt *"))
    daemon.kill_room("core")  # the vault has it still
    wait_for("the core's end", lambda: state(daemon) == "unsealed")
    signs(daemon, 1, 4, 5)
    assert int(enclave.server.tell("count Decrypt *")) == decrypts


def test_T11_in_mode_quorum_people_open_it_again(daemon, enclave, tmp_path):
    operators = [Operator(tmp_path, name) for name in NAMES]
    boot(daemon, "uninitialized")
    make_quorum(daemon, enclave.arns, operators)
    unseal(daemon, *operators[:2])
    assert import_keys(daemon, 1, path=KEYS_ROUTE) == ["imported"]
    first = identity(daemon)
    end(daemon)
    boot(daemon, "kms_unsealed")
    assert identity(daemon) == first
    unseal(daemon, *operators[1:])
    signs(daemon, 1, 1, 2)


def test_T11_an_image_takes_over_from_those_that_it_names(daemon, enclave):
    boot(daemon, "uninitialized")
    first = identity(daemon)
    chamber = tighten(daemon, enclave, IMAGE)
    end(daemon)
    enclave.device.pcrs[0] = OTHER
    assert refused(daemon, "ENCLAVE_ROOT", IMAGE.hex(), OTHER.hex(), "tee.root.images") == EXIT_REFUSED
    daemon.config["tee"]["root"]["images"] = [IMAGE.hex()]
    daemon.write_config()
    refused(daemon, "ENCLAVE_ROOT_DENIED", enclave.arns[0], OTHER.hex())  # the keys' policies don't know it yet
    enclave.allow(IMAGE, OTHER, chamber=chamber)
    boot(daemon, "uninitialized")
    assert identity(daemon) == first and "taken its enclave's chamber over" in daemon.log_text()
    end(daemon)
    daemon.config["tee"]["root"]["images"] = []  # it has vouched itself
    daemon.write_config()
    boot(daemon, "uninitialized")
    end(daemon)
    enclave.device.pcrs[0] = IMAGE  # and the earlier one is not shut out by that
    boot(daemon, "uninitialized")
    assert identity(daemon) == first


def test_T11_what_no_image_vouches_for_is_not_taken(make_daemon, enclave, server):
    place = Database(server)
    daemon = an_enclave(make_daemon, enclave, place)
    table = "containment_state_records"
    boot(daemon, "uninitialized")
    first = identity(daemon)
    end(daemon)
    for at in (90, 400, 2000):  # the secret's commitment, a share, a document
        flip = f"UPDATE {table} SET bytes = set_byte(bytes, {at}, get_byte(bytes, {at}) # 1) WHERE kind = 'enclave'"
        place.sql(flip)
        assert refused(daemon, "ENCLAVE_ROOT") == EXIT_REFUSED
        place.sql(flip)
    place.sql(f"CREATE TABLE aside AS SELECT * FROM {table} WHERE kind = 'enclave'; DELETE FROM {table} WHERE kind = 'enclave'")
    assert refused(daemon, "ENCLAVE_ROOT", "no record of an enclave") == EXIT_REFUSED
    place.sql(f"INSERT INTO {table} SELECT * FROM aside; DROP TABLE aside")
    enclave.mock.disable(*enclave.arns[:2])
    refused(daemon, "ENCLAVE_ROOT_SHARES", "too few KMS keys")
    enclave.mock.enable(*enclave.arns[:2])
    boot(daemon, "uninitialized")
    assert identity(daemon) == first


@pytest.mark.long_form
def test_T25_a_seal_outlives_the_enclave(daemon, enclave):
    boot(daemon, "uninitialized")
    assert init(daemon, mode="kms", kms_key_arns=enclave.arns, kms_threshold=2)[0] == 200
    seal(daemon)
    end(daemon)
    boot(daemon, "sealed")
    assert status(daemon)["latched"] is True


def test_P03_only_the_switch_makes_a_chamber_and_only_with_keys_that_open(make_daemon, enclave, server):
    place = Database(server)
    daemon = an_enclave(make_daemon, enclave, place)
    result = daemon.command("server", "-c", daemon.config_path, check=False)
    assert result.returncode == EXIT_REFUSED and "there is no chamber" in result.stderr
    enclave.device.pcrs[0] = OTHER  # Encrypt is let through for every image, Decrypt isn't
    refused(daemon, "AWS_DENIED")
    enclave.device.pcrs[0] = IMAGE
    enclave.server.tell(f"fault other-key {enclave.arns[1]} -1 {enclave.arns[0]}")  # a KMS that answers for another key
    refused(daemon, "KMS_ANSWER")
    enclave.server.tell("clear")
    boot(daemon, "uninitialized")  # nothing was left that would be in the way


@pytest.mark.long_form
def test_T11_its_tables_may_be_dynamodb(make_daemon, enclave):
    if aws_module.missing():
        pytest.skip("left out: " + aws_module.missing())
    with aws_module.Aws() as aws:
        daemon = an_enclave(make_daemon, enclave, Table(aws), seal="local")
        boot(daemon)
        assert import_keys(daemon, 1, path=KEYS_ROUTE) == ["imported"]
        signs(daemon, 1, 1, 2)
        first = identity(daemon)
        end(daemon)
        aws.fault("refuse", "*", -1)  # the tables are away when the machine starts
        daemon.spawn("--init-if-missing")
        wait_for("a warning", lambda: "is kept in is away" in daemon.log_text())
        aws.clear()
        daemon.wait_started(ready=False)
        assert identity(daemon) == first
        signs(daemon, 1, 2, 3)
