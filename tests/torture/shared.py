"""A Web3Signer beside ours on one database: its documented transactions by hand (cowriter.py), half of them with
`synchronous_commit = off`."""
import systems
from systems import Fault


class Shared(systems.Postgres):
    """One signer of ours and two sessions of the other program."""

    name = "shared"
    about = "one signer and a Web3Signer's transactions on one PostgreSQL"
    wants_disk = False
    settings = {"shared_with_web3signer": True}

    def __init__(self, path, binary=None):
        super().__init__(path, binary, signers=1)

    def others(self, log):
        return [systems.cowriter.CoWriter(log, lambda: systems.cowriter.reach(self.database), systems.postgres.NAME)
                for _ in range(2)]


def repeat_and_crash(system, _chance):
    """The other program records something and doesn't wait for the disk; ours is asked for the same and answers; then the
    power fails. It must have waited."""
    system.load.quiet.set()
    other, = system.others(system.log)[:1]
    message = system.keys[0].fresh(None, "vote")
    other.ask(message, durable=True)  # connected, and everything before it is on the disk
    for _ in range(3):
        message = system.keys[0].fresh(None, "vote")
        if other.ask(message, durable=False):
            system.probes[0].client.ask(system.signers[0], message)
    other.close()
    try:
        return systems.kill_database_and_everything(system, None)
    finally:
        system.load.quiet.clear()


ONE_WINS = "Of conflicting messages one is signed, by one of the two. "
Shared.faults = {
    "repeat of what is not durable, then a crash": Fault(
        repeat_and_crash, "A repeat waits until what it repeats is durable.", weight=3),
    "kill -9 database": Fault(systems.kill_database, ONE_WINS + "What the other did not commit durably may be gone, and with"
                              " it only its own; what ours repeated is there.", weight=3),
    "kill -9 database and everything": Fault(systems.kill_database_and_everything, ONE_WINS, weight=2),
    **{name: systems.Postgres.faults[name] for name in ("pause transactions", "end connections", "kill -9 core", "network cut")},
}
