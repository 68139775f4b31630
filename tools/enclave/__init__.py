"""Making and reading enclave images (tools/enclave-image). Python's standard library and the openssl program, nothing else."""


class Fault(Exception):
    """What the person at the keyboard has to know; the text is all that is shown."""
