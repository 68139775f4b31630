"""A chamber of the image's own making, whose keys KMS opens for the measured image alone. The image is booted, its module says what was
measured, and the mock of KMS lets decrypt whoever shows that measurement in a signed document; stores are in DynamoDB. All of AWS is reached
over vsock and `enclave proxy`; the owner and a stock client come in by attested TLS."""
import contextlib
import time

import pytest

import image as images
from cloud import Cloud
from image import TLS_PORT, messages
from qemu import Machine, wait_for
from owner import Owner
from ways import TOOLS, predicted, report
import nsm_device

NUMBER, SLOT_S, AGO_EPOCHS, LAG_S = 1, 1, 1000, 25
TABLES = "history state keys"


class Setup:
    """An owner, a cloud, and an image that both belong to."""

    def __init__(self, folder, parts, authority, cloud):
        self.folder, self.parts, self.authority, self.cloud = folder, parts, authority, cloud
        self.root = folder / "module.der"
        self.owner = Owner(folder, self.root)
        self.begin = int(time.time()) - AGO_EPOCHS * messages.SLOTS_PER_EPOCH * SLOT_S
        self.boots = 0
        self.image = self.make()

    def make(self, **root):
        """An Image; `root` changes what stands in tee.root."""
        stores = self.cloud.config()
        config = {
            **{name: value for name, value in images.CONFIG.items() if name not in ("key_sources", "anti_slashing")}, **stores,
            # Slots of a second: duties begin again while the test waits.
            "genesis_time": self.begin, "network_overrides": {"SECONDS_PER_SLOT": SLOT_S, "SLOT_DURATION_MS": 1000 * SLOT_S},
            "server": {**images.CONFIG["server"], "host_allowlist": ["*"], "admin_socket": "-"},
            "tls": {"mode": "atls", "listen": f"vsock:any:{TLS_PORT}"},
            "auth": {"mode": "enforce", "owner_keys": [self.owner.row]},
            "tee": {"platform": "nitro", "aws_account": self.cloud.account, "root": {
                "kms_key_arns": self.cloud.arns, "threshold": 2, "certificate": "/test/chain-0.der", **root}},
        }
        return images.make(self.folder, self.parts, config, self.authority, authorities=self.cloud.authorities)

    def changed(self):
        """The image with one byte changed, of a remark in its configuration."""
        image = self.make()
        disk = bytearray(image.ramdisks[1])
        disk[disk.index(images.REMARK.encode()) + 2] ^= 1
        image.ramdisks[1] = bytes(disk)
        return image

    def epoch(self):
        """The one that it is inside, where the clock may be LAG_S behind."""
        return int(time.time() - LAG_S - self.begin) // (messages.SLOTS_PER_EPOCH * SLOT_S)

    @contextlib.contextmanager
    def boot(self, image=None, state=None):
        """A Machine, once its chamber is in that state; the owner is there."""
        image, self.boots = image or self.image, self.boots + 1
        with Machine(self.folder / str(self.boots), image, TOOLS, memory=768) as machine, self.cloud.parent(machine), \
                self.owner.at(machine, predicted(image)[0]):
            if state:
                try:
                    self.owner.wait_state(state)
                except AssertionError as error:
                    raise AssertionError(f"{error}\n{machine.console()[-6000:]}") from error
            yield machine

    def first_duty(self, sign):
        """The epoch of the first vote that is let through; each epoch has one try."""
        tries = {}

        def tried():
            epoch = self.epoch() + 2  # as far ahead as may be
            if epoch in tries:
                return False
            tries[epoch] = sign(NUMBER, messages.attestation(epoch - 1, epoch))
            return tries[epoch][0] == 200 and epoch

        try:
            return wait_for("duties have begun", tried, 180)
        except AssertionError as error:
            raise AssertionError(f"{error}: {list(tries.items())[-3:]}") from error


@pytest.fixture(name="setup")
def _setup(folder, parts):
    authority = nsm_device.Authority()
    with Cloud(folder, authority) as cloud:
        yield Setup(folder, parts, authority, cloud)


def init(setup):
    """The first boot: chamber, set, keys, a client."""
    setup.owner.run("operator", "init", "--mode", "kms", "--kms-key-arns", ",".join(setup.cloud.arns), "--kms-threshold", 2)
    setup.owner.bring(NUMBER)
    return setup.owner.status()["chamber_id"]


def conflicts(signed):
    """Whatever would conflict with the vote for epoch `signed`, or with the block of its last slot."""
    slot = (signed + 1) * messages.SLOTS_PER_EPOCH - 1
    return [messages.attestation(signed - 1, signed, seed=1), messages.attestation(signed - 2, signed + 1), messages.attestation(signed - 3, signed),
            messages.block(slot, seed=1)]


def test_T04_T11_P26_a_chamber_of_the_image_and_what_its_parent_tries(setup):
    """One chamber through all; each part is a boot."""
    cloud, owner, honest = setup.cloud, setup.owner, predicted(setup.image)[0]
    cloud.policy(honest)
    with setup.boot(state="uninitialized") as machine:
        assert machine.measured()[0] == honest
        chamber = init(setup)
        cloud.policy(honest, chamber=chamber)
        cloud.aws.tell("keep before")
        with owner.client() as sign:
            signed = setup.first_duty(sign)
            assert sign(NUMBER, messages.block((signed + 1) * messages.SLOTS_PER_EPOCH - 1))[0] == 200
            assert sign(NUMBER, conflicts(signed)[0])[0] == 412
            cloud.aws.tell("keep now")
            for served in "before", "nothing":  # to an enclave that runs
                cloud.aws.tell(f"back {served} history")
                for body in conflicts(signed):
                    status, answer = sign(NUMBER, body)
                    assert status in (412, 503), answer
    # The same image comes back by itself: no owner, no operator.
    cloud.aws.tell(f"back now {TABLES}")
    with setup.boot() as machine:
        with owner.client() as sign:
            wait_for("a signature", lambda: sign(NUMBER, messages.randao(setup.epoch()))[0] == 200, 240)
            report("boot to first signature, keys unsealed by KMS", f"{time.monotonic() - machine.started:.1f} s, of which QEMU used the "
                                                                    f"processor for {machine.processor_seconds():.1f} s")
            assert owner.status()["chamber_id"] == chamber
            assert sign(NUMBER, conflicts(signed)[0])[0] == 412
    # It is served every store as it was before the first signature.
    cloud.aws.tell(f"back before {TABLES}")
    with setup.boot(state="unsealed"), owner.client() as sign:
        for body in conflicts(signed):
            status, answer = sign(NUMBER, body)
            assert status == 412, answer
        assert setup.first_duty(sign) > signed


def test_P26_one_changed_byte_gets_no_key(setup):
    """Neither by the record of the image that was, nor, where the change has that taken, from KMS; until both are told of it."""
    cloud, owner, honest = setup.cloud, setup.owner, predicted(setup.image)[0]
    cloud.policy(honest)
    with setup.boot(state="uninitialized"):
        chamber = init(setup)
    cloud.policy(honest, chamber=chamber)
    changed = setup.changed()
    with setup.boot(changed) as machine:
        machine.wait_line("is not approved")
        machine.wait_line("the enclave ends")
        assert machine.measured()[0] == predicted(changed)[0] != honest
    next_image = setup.make(images=[honest])
    before = int(cloud.kms.tell("count Decrypt *"))
    with setup.boot(next_image) as machine:
        assert next(arn for arn in cloud.arns if arn in machine.wait_line("KMS does not open this enclave's chamber for this image"))
        assert int(cloud.kms.tell("count Decrypt *")) > before
        machine.wait_line("the enclave ends")
    cloud.policy(honest, predicted(next_image)[0], chamber=chamber)
    with setup.boot(next_image, state="unsealed"), owner.client() as sign:
        assert owner.status()["chamber_id"] == chamber
        assert sign(NUMBER, messages.randao(setup.epoch()))[0] == 200
